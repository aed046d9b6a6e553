import { isHistory, listReadyFiles } from '../postgres/ready-files.ts'
import type { Markers } from './markers.ts'

/** How long a failure is a reason to wait: it doubles with every one in a row. Milliseconds. */
const pause = { first: 1000, longest: 5000 }
/** The same for a file that alone is the reason, and is read again every time. */
const rest = { first: 1000, longest: 60_000 }

/**
 * What became of a file that was given out: it was archived, or needs to be no more; or it was not, as
 * others would not be either; or it failed by itself, as in a conflict.
 */
export type Outcome = 'pushed' | 'failed' | 'stuck'

/**
 * Which file comes next. The directory is listed only when all that was listed has been given out, so
 * that a long backlog costs one listing and not one a file; new files have later names. Timeline
 * history files, which come first, are let in by name.
 *
 * After a failure files are given out one by one, with pauses, and the first ones first: most often
 * it would meet all of them, and PostgreSQL asks for those. But none twice in a row, should it be the
 * file all the same. One that succeeds ends this. A file that failed by itself holds up no other.
 */
export interface ReadyQueue {
  /** Undefined when there is nothing to do now. */
  next(): Promise<string | undefined>
  /** A timeline history file became ready. */
  hurry(walName: string): void
  done(walName: string, outcome: Outcome): void
}

export function readyQueue(
  dataDirectory: string,
  markers: Markers,
  except: string | undefined,
): ReadyQueue {
  let listed: string[] = []
  const inFlight = new Set<string>()
  /** All times by a clock that nobody sets. */
  const failed = new Map<string, { until: number }>()
  const stuck = new Map<string, { until: number; times: number }>()
  /** Of all files, in a row. */
  let failures = 0
  let pausedUntil = 0
  // The push that started the worker is archiving this one itself.
  if (except !== undefined) stuck.set(except, { until: performance.now() + 5000, times: 0 })

  async function list(): Promise<void> {
    listed = []
    const ready = await markers.keepOnly(() => listReadyFiles(dataDirectory))
    // What was hurried meanwhile stays in front.
    listed = [...ready.filter((name) => !markers.has(name)).reverse(), ...listed]
    const known = new Set(ready)
    for (const names of [failed, stuck]) {
      for (const name of names.keys()) if (!known.has(name)) names.delete(name)
    }
  }

  function isFree(name: string): boolean {
    const now = performance.now()
    const rests = [failed, stuck].some((names) => now < (names.get(name)?.until ?? 0))
    return !rests && !inFlight.has(name) && !markers.has(name)
  }

  return {
    async next() {
      if (failures > 0 && (inFlight.size > 0 || performance.now() < pausedUntil)) return undefined
      if (listed.length === 0 || failures > 0) await list()
      for (let name = listed.pop(); name !== undefined; name = listed.pop()) {
        if (!isFree(name)) continue
        inFlight.add(name)
        return name
      }
      return undefined
    },
    hurry(walName) {
      if (isHistory(walName)) listed.push(walName)
    },
    done(walName, outcome) {
      inFlight.delete(walName)
      const now = performance.now()
      if (outcome === 'pushed') {
        stuck.delete(walName)
        failed.clear()
        failures = 0
      } else if (outcome === 'stuck') {
        const times = (stuck.get(walName)?.times ?? 0) + 1
        stuck.set(walName, { until: now + doubled(rest, times), times })
      } else {
        // Those that were in flight together failed together.
        if (now >= pausedUntil) pausedUntil = now + doubled(pause, ++failures)
        failed.set(walName, { until: pausedUntil + pause.first })
      }
    },
  }
}

/** Milliseconds. */
function doubled({ first, longest }: { first: number; longest: number }, times: number): number {
  return Math.min(first * 2 ** (times - 1), longest)
}
