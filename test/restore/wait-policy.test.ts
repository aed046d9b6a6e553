import { describe, expect, it } from 'vitest'
import { type Standing, type WaitDecision, waitDecision } from '../../src/restore/wait-policy.ts'

const plain: Standing = {
  role: 'archive-recovery',
  kind: 'segment',
  outcome: undefined,
  trigger: 'none',
  fastBefore: 'never',
  liesInWal: false,
  maxWaitIsOver: false,
  branchedOff: false,
}

type Row = [standing: Partial<Standing>, decision: WaitDecision]

const absent = { outcome: 'absent' } as const
const unreachable = { outcome: 'unreachable' } as const
const unclear = { outcome: 'unclear' } as const
const smart = { trigger: 'smart' } as const
const fast = { trigger: 'fast' } as const
const over = { maxWaitIsOver: true } as const

describe('a segment in archive recovery', () => {
  it.each<Row>([
    [{}, 'ask'],
    [smart, 'ask'],
    [over, 'ask'],
    [{ fastBefore: 'ahead' }, 'ask'],
    [{ outcome: 'placed' }, 40],
    [{ outcome: 'placed', ...smart, ...over, branchedOff: true }, 40],
    [absent, 'wait'],
    [{ ...absent, ...smart }, 44],
    [{ ...absent, ...over }, 44],
    [unreachable, 'wait'],
    [{ ...unreachable, ...smart }, 'wait'],
    [{ ...unreachable, ...over }, 'wait'],
    [{ ...unreachable, liesInWal: true }, 'wait'],
    [unclear, 'wait'],
    [{ ...unclear, ...smart, ...over }, 'wait'],
  ])('%o: %s', (standing, decision) => {
    expect(waitDecision({ ...plain, ...standing })).toBe(decision)
  })

  it.each<Row>([
    [fast, 44],
    [{ ...fast, outcome: 'placed' }, 44],
    [{ ...fast, ...unreachable }, 44],
    [{ fastBefore: 'here' }, 44],
    [{ fastBefore: 'here', ...unreachable }, 44],
    [{ fastBefore: 'ahead', outcome: 'placed' }, 40],
    [{ fastBefore: 'ahead', ...absent }, 44],
    [{ fastBefore: 'ahead', ...unreachable }, 'wait'],
    [{ fastBefore: 'ahead', ...unreachable, liesInWal: true }, 44],
    [{ fastBefore: 'ahead', ...unclear, liesInWal: true }, 44],
  ])('fast, %o: %s', (standing, decision) => {
    expect(waitDecision({ ...plain, ...standing })).toBe(decision)
  })

  it.each<Row>([
    [absent, 46],
    [{ ...absent, ...smart }, 46],
    [{ ...absent, ...over }, 46],
    [{ ...absent, ...fast }, 44],
    [{ ...absent, fastBefore: 'ahead' }, 44],
    [unreachable, 'wait'],
  ])('a timeline begins there, %o: %s', (standing, decision) => {
    expect(waitDecision({ ...plain, branchedOff: true, ...standing })).toBe(decision)
  })
})

describe('a timeline history in archive recovery', () => {
  it.each<Row>([
    [{}, 'as usual'],
    [absent, 'as usual'],
    [unreachable, 'as usual'],
    [{ ...unreachable, ...smart }, 'as usual'],
    [{ ...unreachable, ...over }, 'as usual'],
    [{ ...unreachable, ...fast }, 44],
    [{ ...unreachable, fastBefore: 'ahead' }, 44],
    [{ ...unclear, fastBefore: 'ahead' }, 44],
    [{ outcome: 'placed', ...fast }, 'as usual'],
    [fast, 'as usual'],
  ])('%o: %s', (standing, decision) => {
    expect(waitDecision({ ...plain, kind: 'history', ...standing })).toBe(decision)
  })
})

describe.each(['standby', 'pg_rewind'] as const)('to %s nothing is another answer', (role) => {
  it.each<Row>([
    [{}, 'as usual'],
    [absent, 'as usual'],
    [{ ...unreachable, ...fast }, 'as usual'],
    [{ ...unreachable, fastBefore: 'here' }, 'as usual'],
    [{ ...unreachable, kind: 'history', fastBefore: 'ahead' }, 'as usual'],
  ])('%o: %s', (standing, decision) => {
    expect(waitDecision({ ...plain, role, ...standing })).toBe(decision)
  })
})
