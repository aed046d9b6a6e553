import { privateExit } from '../exit-codes.ts'
import type { RecoveryRole } from '../postgres/recovery-role.ts'

/**
 * What one round of asking came to:
 *
 * - `placed`: the verified file lies at %p
 * - `absent`: proved; every place that could have it answered that it has not
 * - `unreachable`: something that could have it did not answer, or not usefully; that may pass
 * - `unclear`: what answered contradicts itself or does not verify; asking again will not help
 */
export type FetchOutcome = 'placed' | 'absent' | 'unreachable' | 'unclear'

/**
 * What a fetch does next: ask again, or end with a code for the launcher. Doubt never passes for
 * absent: in archive recovery PostgreSQL takes absent for the end of WAL, and promotes. There, an
 * outage is waited for until `patienceLeft` (milliseconds) is used up, because the answer after it
 * stops the server. A standby asks again by itself, and must not be kept from its promotion;
 * pg_rewind has a person before it.
 */
export function fetchDecision(
  role: RecoveryRole,
  outcome: FetchOutcome,
  patienceLeft: number,
): 'again' | number {
  if (outcome === 'placed') return privateExit.done
  if (outcome === 'absent') return privateExit.absent
  const worthWaiting = outcome === 'unreachable' && role === 'archive-recovery'
  return worthWaiting && patienceLeft > 0 ? 'again' : privateExit.cannotTell
}
