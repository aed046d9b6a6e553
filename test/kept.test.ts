import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Failure, PgarchError } from '../src/errors.ts'
import { type Kept, keep, keepSeveral } from '../src/kept.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A scope that tells what is opened and closed. */
function scope(keeping: typeof keep = keep): { events: string[]; kept: Kept<number> } {
  const events: string[] = []
  let number = 0
  const kept = keeping<number>(async (use) => {
    const mine = ++number
    events.push(`open ${mine}`)
    try {
      return await use(mine)
    } finally {
      events.push(`close ${mine}`)
    }
  }, 1000)
  return { events, kept }
}

const failing = (failure: Failure) => () => Promise.reject(new PgarchError(failure, 'no'))

it('is opened once for many, at once and in turn, and closed when nobody came for a while', async () => {
  const { events, kept } = scope()
  const use = () => kept.use(async (number) => number)
  expect(await Promise.all([use(), use()])).toEqual([1, 1])
  await vi.advanceTimersByTimeAsync(900)
  expect(await use()).toBe(1)
  await vi.advanceTimersByTimeAsync(900)
  expect(events).toEqual(['open 1'])
  await vi.advanceTimersByTimeAsync(200)
  expect(events).toEqual(['open 1', 'close 1'])
  expect(await use()).toBe(2)
})

it('one that does not answer is replaced for the next, and closed after its last user', async () => {
  const { events, kept } = scope()
  const slow = Promise.withResolvers<void>()
  const other = kept.use(async (number) => {
    await slow.promise
    return number
  })
  await expect(kept.use(failing('unreachable'))).rejects.toThrow('no')
  expect(await kept.use(async (number) => number)).toBe(2)
  expect(events).toEqual(['open 1', 'open 2'])
  slow.resolve()
  expect(await other).toBe(1)
  await vi.advanceTimersByTimeAsync(0)
  expect(events).toEqual(['open 1', 'open 2', 'close 1'])
})

it.each(['refused', 'conflict', 'damaged'] as const)(
  'one that answers, if only with %s, is kept',
  async (failure) => {
    const { events, kept } = scope()
    await expect(kept.use(failing(failure))).rejects.toThrow('no')
    await kept.use(async () => {})
    expect(events).toEqual(['open 1'])
  },
)

it('one that was lost while nobody used it is replaced before anybody meets it', async () => {
  const lost = new Set<number>()
  let number = 0
  const kept = keep<number>(
    (use) => use(++number),
    1000,
    (one) => lost.has(one),
  )
  expect(await kept.use(async (one) => one)).toBe(1)
  lost.add(1)
  expect(await kept.use(async (one) => one)).toBe(2)
  await kept.close()
})

it.each(['unreachable', 'unusable'] as const)(
  'a failure to open, %s, reaches who wanted it, and the next tries again',
  async (failure) => {
    let tries = 0
    const kept = keep<number>(async (use) => {
      if (++tries === 1) throw new PgarchError(failure, 'down')
      return await use(tries)
    }, 1000)
    await expect(kept.use(async () => {})).rejects.toThrow('down')
    expect(await kept.use(async (number) => number)).toBe(2)
    await kept.close()
  },
)

it('of several, each has one to itself; the last used is taken first, and others come to rest', async () => {
  const { events, kept } = scope((use, idle) => keepSeveral(use, idle, 2))
  const slow = Promise.withResolvers<void>()
  const both = [1, 2].map(() =>
    kept.use(async (number) => {
      await slow.promise
      return number
    }),
  )
  slow.resolve()
  expect(await Promise.all(both)).toEqual([1, 2])
  for (let n = 0; n < 3; n++) {
    await vi.advanceTimersByTimeAsync(600)
    expect(await kept.use(async (number) => number)).toBe(2)
  }
  expect(events).toEqual(['open 1', 'open 2', 'close 1'])
  expect(await Promise.all([kept.use(async (n) => n), kept.use(async (n) => n)])).toEqual([2, 3])
  await kept.close()
  expect(events.slice(3).sort()).toEqual(['close 2', 'close 3', 'open 3'])
})

it('when as many are used as may be, the next waits for the first that is given back', async () => {
  const { events, kept } = scope((use, idle) => keepSeveral(use, idle, 2))
  const gates = [1, 2].map(() => Promise.withResolvers<void>())
  const first = gates.map(({ promise }) => kept.use(() => promise))
  const third = kept.use(async (number) => number)
  gates[1]?.resolve()
  expect(await third).toBe(2)
  gates[0]?.resolve()
  await Promise.all(first)
  expect(events).toEqual(['open 1', 'open 2'])
})
