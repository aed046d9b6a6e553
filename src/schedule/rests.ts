import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../fs/durable.ts'

/** How long what failed is left alone: it doubles with every failure in a row. Milliseconds. */
const rest = { first: 30_000, longest: 300_000 }

/** The scheduling database, among what rests. */
export const scheduleRest = 'schedule'

interface Rest {
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly failures: number
}

/**
 * What failed lately, and rests, so that not every call waits for it in vain: paths by their id, the
 * scheduling database as `scheduleRest`. Kept in the state directory, as every call is a new process.
 */
export interface Rests {
  isResting(name: string): boolean
  /** Notes the outcome of a try; durable with `save`. */
  note(name: string, outcome: 'failed' | 'worked'): void
  save(): Promise<void>
}

/**
 * A file that cannot be read or understood means that nothing rests: that only costs time.
 *
 * @param longest no rest counts as longer than this, in milliseconds
 */
export async function openRests(
  stateDirectory: string,
  { longest = rest.longest, clock = Date.now }: { longest?: number; clock?: () => number } = {},
): Promise<Rests> {
  const file = join(stateDirectory, 'rests.json')
  const rests = parse(await readFile(file, 'utf8').catch(() => ''))
  let changed = false

  function isResting(name: string): boolean {
    const one = rests.get(name)
    if (one === undefined) return false
    const age = clock() - one.since
    // A clock that was set back must not make a rest longer than any.
    return age >= 0 && age < Math.min(rest.first * 2 ** (one.failures - 1), longest)
  }

  return {
    isResting,
    note(name, outcome) {
      const before = rests.get(name)
      if (outcome === 'failed') {
        // It failed for many at once, or was tried all the same: one failure, and one rest.
        if (isResting(name)) return
        rests.set(name, { since: clock(), failures: (before?.failures ?? 0) + 1 })
      } else if (before === undefined) return
      else rests.delete(name)
      changed = true
    },
    async save() {
      if (!changed) return
      changed = false
      await writeDurably(file, JSON.stringify(Object.fromEntries(rests)), { mode: 0o600 })
    },
  }
}

function parse(text: string): Map<string, Rest> {
  try {
    return new Map(Object.entries<Rest>(JSON.parse(text)).filter(([, rest]) => isRest(rest)))
  } catch {
    return new Map()
  }
}

function isRest(value: Rest | null): boolean {
  return Number.isFinite(value?.since) && Number.isInteger(value?.failures)
}
