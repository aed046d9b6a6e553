import { privateExit } from '../exit-codes.ts'
import type { RecoveryRole } from '../postgres/recovery-role.ts'
import type { WalName } from '../wal/names.ts'
import type { FetchOutcome } from './exit-policy.ts'

/**
 * What the trigger asks for: `smart`, that recovery ends once everything archived is applied; `fast`,
 * that it ends now.
 */
export type Trigger = 'none' | 'smart' | 'fast'

/** Where a fetch that may wait stands. */
export interface Standing {
  readonly role: RecoveryRole
  readonly kind: WalName['kind']
  /** Of the last round; undefined: nobody was asked yet. */
  readonly outcome: FetchOutcome | undefined
  readonly trigger: Trigger
  /**
   * Where fast was given earlier in the server's life, seen from this segment: `here` is at it or before
   * it, `ahead` at a later one. Other files count as ahead.
   */
  readonly fastBefore: 'never' | 'here' | 'ahead'
  /** The segment lies whole in pg_wal, where the server looks after an absent one. */
  readonly liesInWal: boolean
  readonly maxWaitIsOver: boolean
  /** A timeline that the server has yet to follow begins in this very segment. */
  readonly branchedOff: boolean
}

/** `as usual`: what a fetch does that never waits; else a code for the launcher. */
export type WaitDecision = 'as usual' | 'ask' | 'wait' | number

/**
 * What a fetch with --wait does next. Only segments in archive recovery are waited for: a standby waits
 * itself, and is not to be kept from its promotion, and pg_rewind asks for what was archived long ago.
 *
 * Fast ends a recovery although nobody can tell what is archived, so it also answers, without, what the
 * server asks on its way out (section 27.2 of the manual, and xlogarchive.c): the segment of the last
 * record once more, which it then takes from pg_wal, and timeline histories. All else ends only on a
 * proved absence. Absent would end recovery also where another timeline goes on, as the server looks
 * for new ones at its start and in standby mode alone: to stop is what lets it follow.
 */
export function waitDecision(standing: Standing): WaitDecision {
  const { role, kind, outcome, trigger, fastBefore } = standing
  const isDoubtful = outcome === 'unreachable' || outcome === 'unclear'
  if (role !== 'archive-recovery') return 'as usual'
  if (kind !== 'segment') {
    const isFast = trigger === 'fast' || fastBefore !== 'never'
    return isFast && isDoubtful ? privateExit.absent : 'as usual'
  }
  if (trigger === 'fast' || fastBefore === 'here') return privateExit.absent
  if (outcome === undefined) return 'ask'
  if (outcome === 'placed') return privateExit.done
  if (isDoubtful) {
    return fastBefore === 'ahead' && standing.liesInWal ? privateExit.absent : 'wait'
  }
  if (fastBefore === 'ahead') return privateExit.absent
  if (standing.branchedOff) return privateExit.cannotTell
  return trigger === 'smart' || standing.maxWaitIsOver ? privateExit.absent : 'wait'
}
