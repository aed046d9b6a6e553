import type { FetchOutcome } from '../restore/exit-policy.ts'

/** After failures in a row, in milliseconds: twice as long each time. */
const pause = { first: 1000, longest: 30_000 }

/** What came of the segments that were tried, as far as it says what to try next. */
export interface Tries {
  note(walName: string, outcome: FetchOutcome): void
  /**
   * Whether nothing is to be tried from here on: the archive ends, recovery will not get past it as it
   * cannot be told or is damaged, or no place answered just now.
   */
  isEnd(walName: string): boolean
  /** Recovery has moved on: what was absent may be there by now. */
  forget(): void
}

export function newTries(): Tries {
  const ends = new Set<string>()
  let failures = 0
  let pausedUntil = 0
  return {
    note(walName, outcome) {
      if (outcome === 'placed') failures = 0
      if (outcome === 'absent' || outcome === 'unclear') ends.add(walName)
      const now = performance.now()
      // Those that were in flight together failed together.
      if (outcome !== 'unreachable' || now < pausedUntil) return
      pausedUntil = now + Math.min(pause.first * 2 ** failures++, pause.longest)
    },
    isEnd: (walName) => ends.has(walName) || performance.now() < pausedUntil,
    forget: () => ends.clear(),
  }
}
