import { resolve } from 'node:path'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { checkWalPath } from '../postgres/data-directory.ts'
import type { Claim, Route } from '../schedule/types.ts'
import { copyToRoute, type Tries } from './copy.ts'
import type { Archiver } from './identify.ts'
import { copyToLocalArchive, drainSome } from './local-archive.ts'
import { record } from './record.ts'
import { conflictHint, takeRoute } from './take-route.ts'
import { checkWalFile, type WalFile } from './wal-file.ts'

/** A file that PostgreSQL wants archived. */
export interface ReadyFile {
  /** PostgreSQL's %p: relative to the data directory, or absolute. */
  readonly walPath: string
  /** PostgreSQL's %f. */
  readonly walName: string
  /**
   * Whether PostgreSQL still keeps the file for us. Asked once it was read: a file that was archived by
   * another push meanwhile may be recycled under a reader's eyes, and what was read be of two files.
   */
  isStillReady?(): Promise<boolean>
}

/**
 * One WAL file's way: check, route, store, record. Resolves when it is durable, on a path or in the
 * local archive, and that is recorded or journaled; or when it was dropped because the cluster is
 * stopped. Rejects otherwise. Every step can be repeated, so PostgreSQL's own retry is all the
 * recovery there is.
 */
export async function archiveFile(archiver: Archiver, ready: ReadyFile): Promise<void> {
  const { dataDirectory, member, config } = archiver
  await checkWalPath(dataDirectory, ready.walPath)
  const walPath = resolve(dataDirectory.path, ready.walPath)
  const file = await checkWalFile(walPath, ready.walName, member, config.compressionLevel)
  if (ready.isStillReady !== undefined && !(await ready.isStillReady())) return
  const claim = claimOf(file)
  const taken = await takeRoute(archiver, claim)
  if (taken === 'dropped') return

  const { route, source } = taken
  const tries = await copyToRoute(archiver, route, file)
  warnOfFailures(tries, route)
  const local = isRefused(tries) ? await copyToLocalArchive(archiver, file) : undefined
  const events = local === undefined ? tries : [...tries, local]
  await record(archiver, { claim, events }, source)
  if (local === undefined) report(tries, route, file)
  if (isArchived(tries)) await drainSome(archiver, taken)
}

function claimOf({ digest, history }: WalFile): Claim {
  return { walName: digest.walName, sha256: digest.sha256, walSize: digest.size, history }
}

function isArchived(tries: Tries): boolean {
  const last = tries.at(-1)?.status
  return last === 'stored' || last === 'already-stored'
}

/** No path took it; but a conflict is an answer, and no reason to put it elsewhere. */
function isRefused(tries: Tries): boolean {
  return tries.every(({ status }) => status === 'failed')
}

function warnOfFailures(tries: Tries, route: Route): void {
  for (const { status, error, pathId } of tries) {
    if (status !== 'failed') continue
    log.warning(`path "${nameOf(pathId, route)}" did not take it: ${error}`)
  }
}

/** Rejects unless the last try has the file. */
function report(tries: Tries, route: Route, { digest }: WalFile): void {
  const last = tries.at(-1)
  if (last?.status === 'conflict') {
    throw new PgarchError('conflict', `${last.error}`, { hint: conflictHint })
  }
  if (last?.status === 'already-stored') {
    const path = nameOf(last.pathId, route)
    log.info(`"${digest.walName}" was already archived on path "${path}"`)
  }
  if (isArchived(tries)) return
  const { clusterName } = route
  if (route.paths.length === 0) {
    throw new PgarchError('refused', `cluster "${clusterName}" has no active archive path`, {
      hint: 'Add one with "pgarch path add" and "pgarch route set".',
    })
  }
  throw new PgarchError(
    'unreachable',
    `no path of cluster "${clusterName}" took "${digest.walName}"`,
    {
      hint: 'PostgreSQL keeps the file and tries again.',
    },
  )
}

function nameOf(pathId: number | null, route: Route): string | undefined {
  return route.paths.find((path) => path.id === pathId)?.name
}
