import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { newTries } from '../../src/worker/tries.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

it.each(['absent', 'unclear'] as const)(
  'what is %s is an end until recovery moves on',
  (outcome) => {
    const tries = newTries()
    expect(tries.isEnd('5')).toBe(false)
    tries.note('5', outcome)
    expect(tries.isEnd('5')).toBe(true)
    expect(tries.isEnd('6')).toBe(false)
    vi.advanceTimersByTime(3_600_000)
    expect(tries.isEnd('5')).toBe(true)
    tries.forget()
    expect(tries.isEnd('5')).toBe(false)
  },
)

it('after failures nothing is tried for a while, which doubles, but for half a minute at the most', () => {
  const tries = newTries()
  for (const pause of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    // What was in flight together failed together.
    for (const name of ['5', '6', '7']) tries.note(name, 'unreachable')
    tries.forget()
    vi.advanceTimersByTime(pause - 1)
    expect(tries.isEnd('9')).toBe(true)
    vi.advanceTimersByTime(1)
    expect(tries.isEnd('9')).toBe(false)
  }
  tries.note('5', 'placed')
  tries.note('6', 'unreachable')
  vi.advanceTimersByTime(1000)
  expect(tries.isEnd('6')).toBe(false)
})
