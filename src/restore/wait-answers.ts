import { privateExit } from '../exit-codes.ts'
import { log } from '../log.ts'
import type { WalName } from '../wal/names.ts'
import type { FetchOutcome } from './exit-policy.ts'
import type { WaitMeans } from './wait-means.ts'
import { type Standing, waitDecision } from './wait-policy.ts'

/**
 * Whether a file that is never waited for counts as absent although nobody could tell: recovery was told
 * to end fast, which it could not do otherwise. Says so.
 */
export async function isGivenUp(
  name: WalName,
  outcome: FetchOutcome,
  means: WaitMeans,
): Promise<boolean> {
  const standing = { ...(await standingBefore(name, means)), outcome }
  if (waitDecision(standing) !== privateExit.absent) return false
  log.warning(
    `"${name.name}" counts as absent, by a fast trigger, although nobody can tell`,
    'If that timeline exists, this server may choose its number too. Then its history file is refused as a conflict when it is pushed: see docs/conflicts.md.',
  )
  return true
}

/** Whether recovery was told to end fast in the server's life, be it only in this moment. */
export async function isFast({ trigger, notes }: WaitMeans): Promise<boolean> {
  return (await trigger()) === 'fast' || (await notes.read('fast')) !== undefined
}

/** Before anybody is asked for it. */
export async function standingBefore(name: WalName, { target, notes, trigger }: WaitMeans) {
  return {
    role: target.role,
    kind: name.kind,
    outcome: undefined,
    trigger: await trigger(),
    fastBefore: seenFrom(name, await notes.read('fast')),
    liesInWal: false,
    maxWaitIsOver: false,
    branchedOff: false,
  } satisfies Standing
}

/** Segments of all timelines are in one order. */
function seenFrom(name: WalName, fast: string | undefined): Standing['fastBefore'] {
  if (fast === undefined) return 'never'
  return name.kind === 'segment' && name.name.slice(8) >= fast.slice(8) ? 'here' : 'ahead'
}
