import { describeError, PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { cacheRoute, readCachedRoute } from '../schedule/cached-route.ts'
import { scheduleRest } from '../schedule/rests.ts'
import type { Claim, ClaimOutcome, Route } from '../schedule/types.ts'
import type { Archiver } from './identify.ts'

/** Where a file is to go, and whether the scheduling database has it claimed already. */
export interface TakenRoute {
  readonly route: Route
  readonly source: 'schedule' | 'cache'
}

/**
 * The stage *route*: claim and route in one call to the scheduling database; while that cannot be
 * used, the route as it last was. 'dropped' when the database says in this very call that the cluster
 * is stopped. Rejects with `refused` while the cluster does not archive, and with `conflict`.
 */
export async function takeRoute(archiver: Archiver, claim: Claim): Promise<TakenRoute | 'dropped'> {
  return await take(archiver, claim, async (route) => {
    if (route.switch !== 'stop' || !(await archiver.means.dropWal(claim))) return undefined
    log.warning(
      `"${claim.walName}" of cluster "${route.clusterName}" was dropped: archiving is stopped` +
        because(route),
      'A recovery cannot go past it. Run "pgarch cluster start", then take a base backup.',
    )
    return 'dropped'
  })
}

/** As takeRoute, but for a file that lies in the local archive: it is not dropped any more. */
export async function takeRouteAgain(archiver: Archiver, claim: Claim): Promise<TakenRoute> {
  return await take<never>(archiver, claim, async () => undefined)
}

async function take<Instead extends string>(
  archiver: Archiver,
  claim: Claim,
  instead: (route: Route) => Promise<Instead | undefined>,
): Promise<TakenRoute | Instead> {
  const { rests, member, stateDirectory, means } = archiver
  if (rests.isResting(scheduleRest)) {
    const cached = await readCachedRoute(stateDirectory, member.fingerprint)
    if (cached !== undefined) return fromCache(cached.route)
  }
  try {
    const { route, claim: outcome } = await means.fetchRoute(claim)
    rests.note(scheduleRest, 'worked')
    // Before anything is made of it: a stop that is not kept would not be a pause in an outage.
    await keepRoute(stateDirectory, route)
    const otherwise = await instead(route)
    if (otherwise !== undefined) return otherwise
    refuseUnlessArchiving(route)
    refuseConflict(route, outcome, claim.walName)
    return { route, source: 'schedule' }
  } catch (error) {
    if (!(error instanceof PgarchError) || !isOutage(error)) throw error
    rests.note(scheduleRest, 'failed')
    const cached = await readCachedRoute(stateDirectory, member.fingerprint)
    if (cached === undefined) throw error
    log.warning(
      `${error.message}; going on with the route of ${cached.readTime.toISOString()}`,
      error.hint,
    )
    return fromCache(cached.route)
  }
}

/** Whether it is the scheduling database that cannot be used now, and not what it answered. */
export function isOutage({ failure }: PgarchError): boolean {
  return failure === 'unreachable' || failure === 'unusable'
}

/** A stop counts only when it is read in this very push: from the cache it is a pause. */
function fromCache(route: Route): TakenRoute {
  refuseUnlessArchiving(route)
  return { route, source: 'cache' }
}

async function keepRoute(stateDirectory: string, route: Route): Promise<void> {
  try {
    await cacheRoute(stateDirectory, route)
  } catch (error) {
    log.warning(`could not keep the route for an outage: ${describeError(error)}`)
  }
}

function refuseUnlessArchiving(route: Route): void {
  if (route.switch === 'start') return
  throw new PgarchError(
    'refused',
    `archiving of cluster "${route.clusterName}" is at ${route.switch}${because(route)}`,
    { hint: 'WAL waits in pg_wal until "pgarch cluster start".' },
  )
}

function refuseConflict(route: Route, outcome: ClaimOutcome | null, walName: string): void {
  if (outcome?.outcome !== 'conflict') return
  throw new PgarchError(
    'conflict',
    `"${walName}" of cluster "${route.clusterName}" was archived with other content by ${outcome.claimedBy}`,
    { hint: conflictHint },
  )
}

export const conflictHint =
  'Two servers write the same WAL file: a copy, a split brain, or a repeated recovery. The archived ' +
  'one was left as it is. See docs/conflicts.md, and "pgarch conflict show".'

function because({ switchReason, switchAuthor }: Route): string {
  const by = switchAuthor === null ? '' : ` by ${switchAuthor}`
  return switchReason === null ? by : `${by}: ${switchReason}`
}
