import { expect, it } from 'vitest'
import type { RecoveryRole } from '../../src/postgres/recovery-role.ts'
import { type FetchOutcome, fetchDecision } from '../../src/restore/exit-policy.ts'

type Row = [RecoveryRole, FetchOutcome, patienceLeft: number, decision: 'again' | number]

it.each<Row>([
  ['archive-recovery', 'placed', 1000, 40],
  ['archive-recovery', 'absent', 1000, 44],
  ['archive-recovery', 'unreachable', 1000, 'again'],
  ['archive-recovery', 'unreachable', 0, 46],
  ['archive-recovery', 'unclear', 1000, 46],
  ['standby', 'placed', 1000, 40],
  ['standby', 'absent', 1000, 44],
  ['standby', 'unreachable', 1000, 46],
  ['standby', 'unclear', 1000, 46],
  ['pg_rewind', 'placed', 1000, 40],
  ['pg_rewind', 'absent', 1000, 44],
  ['pg_rewind', 'unreachable', 1000, 46],
  ['pg_rewind', 'unclear', 1000, 46],
])('in %s, %s with %i ms of patience left comes to %s', (role, outcome, patienceLeft, decision) => {
  expect(fetchDecision(role, outcome, patienceLeft)).toBe(decision)
})
