import { resolve } from 'node:path'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { checkWalPath } from '../postgres/data-directory.ts'
import type { Member } from '../postgres/member.ts'
import { withScheduling } from '../resources.ts'
import { dropWal, fetchRoute, recordCopies } from '../schedule/agent.ts'
import type { ClaimOutcome, Route } from '../schedule/types.ts'
import { copyToRoute, type Tries } from './copy.ts'
import { identifyMember } from './identify.ts'
import { checkWalFile, type WalFile } from './wal-file.ts'

export interface PushRequest {
  readonly dataDirectory: string
  /** PostgreSQL's %p: relative to the data directory, or absolute. */
  readonly walPath: string
  /** PostgreSQL's %f. */
  readonly walName: string
}

/**
 * Archives one WAL file: identify, check, route, store, record. Resolves when the file is durable on a
 * path and recorded, or dropped because the cluster is stopped; rejects otherwise. Every step can be
 * repeated, so PostgreSQL's own retry is all the recovery there is.
 */
export async function push(request: PushRequest, config: Config): Promise<void> {
  const { dataDirectory, member } = await identifyMember(request.dataDirectory, config)
  await checkWalPath(dataDirectory, request.walPath)
  const walPath = resolve(dataDirectory.path, request.walPath)
  const file = await checkWalFile(walPath, request.walName, member)
  const route = await takeRoute(member, file, config)
  if (route === 'dropped') return

  const tries = await copyToRoute(route, file, config)
  await withScheduling(config, (schedule) => recordCopies(schedule, member, tries))
  report(tries, route, file)
}

/** The stage *route*: the claim and the route in one call; 'dropped' when the switch is at stop. */
async function takeRoute(
  member: Member,
  file: WalFile,
  config: Config,
): Promise<Route | 'dropped'> {
  const { walName, sha256, size } = file.digest
  const wanted = { walName, sha256, walSize: size, history: file.history }
  return await withScheduling(config, async (schedule) => {
    const { route, claim } = await fetchRoute(schedule, member, wanted)
    if (route.switch === 'stop' && (await dropWal(schedule, member, wanted))) {
      log.warning(
        `"${walName}" of cluster "${route.clusterName}" was dropped: archiving is stopped` +
          because(route),
        'A recovery cannot go past it. Run "pgarch cluster start", then take a base backup.',
      )
      return 'dropped'
    }
    refuseUnlessArchivable(route, claim, walName)
    return route
  })
}

function refuseUnlessArchivable(route: Route, claim: ClaimOutcome | null, walName: string): void {
  const { clusterName } = route
  if (route.switch !== 'start') {
    throw new PgarchError(
      'refused',
      `archiving of cluster "${clusterName}" is at ${route.switch}${because(route)}`,
      { hint: 'WAL waits in pg_wal until "pgarch cluster start".' },
    )
  }
  if (claim?.outcome === 'conflict') {
    throw new PgarchError(
      'conflict',
      `"${walName}" of cluster "${clusterName}" was archived with other content by ${claim.claimedBy}`,
      { hint: conflictHint },
    )
  }
  if (route.paths.length === 0) {
    throw new PgarchError('refused', `cluster "${clusterName}" has no active archive path`, {
      hint: 'Add one with "pgarch path add" and "pgarch route set".',
    })
  }
}

const conflictHint =
  'Two servers write the same WAL file: a copy, a split brain, or a repeated recovery. ' +
  'The archived one was left as it is.'

function because({ switchReason, switchAuthor }: Route): string {
  const by = switchAuthor === null ? '' : ` by ${switchAuthor}`
  return switchReason === null ? by : `${by}: ${switchReason}`
}

/** Tells the server's log what went wrong, and rejects unless the last try has the file. */
function report(tries: Tries, route: Route, { digest }: WalFile): void {
  const nameOf = (pathId: number) => route.paths.find((path) => path.id === pathId)?.name
  const last = tries.at(-1)
  for (const { status, error } of tries) {
    // The store's own words name the path.
    if (status === 'failed') log.warning(`${error}`)
    if (status === 'conflict') throw new PgarchError('conflict', `${error}`, { hint: conflictHint })
  }
  if (last?.status === 'already-stored') {
    log.info(`"${digest.walName}" was already archived on path "${nameOf(last.pathId)}"`)
  }
  if (last === undefined || last.status === 'failed') {
    throw new PgarchError(
      'unreachable',
      `no path of cluster "${route.clusterName}" took "${digest.walName}"`,
      { hint: 'PostgreSQL keeps the file and tries again.' },
    )
  }
}
