import type { Markers } from './markers.ts'
import { isHistory, listReadyFiles } from './ready-files.ts'

/** How long a failure is a reason to wait: it doubles with every one in a row. Milliseconds. */
const pause = { first: 1000, longest: 5000 }

/**
 * Which file comes next. The directory is listed only when all that was listed has been given out, so
 * that a long backlog costs one listing and not one a file; new files have later names. Timeline
 * history files, which come first, are let in by name.
 *
 * After a failure files are given out one by one, with pauses, and the first ones first: most often
 * it would meet all of them, and PostgreSQL asks for those. One that succeeds ends this.
 */
export interface ReadyQueue {
  /** Undefined when there is nothing to do now. */
  next(): Promise<string | undefined>
  /** A timeline history file became ready. */
  hurry(walName: string): void
  /** The file was archived, or needs to be no more; or it failed and can be given out again later. */
  done(walName: string, outcome: 'pushed' | 'failed'): void
}

export function readyQueue(
  dataDirectory: string,
  markers: Markers,
  except: string | undefined,
): ReadyQueue {
  let listed: string[] = []
  const inFlight = new Set<string>()
  /** By a clock that nobody sets. */
  const restsUntil = new Map<string, number>()
  /** Of all files. */
  let failures = 0
  let pausedUntil = 0
  // The push that started the worker is archiving this one itself.
  if (except !== undefined) restsUntil.set(except, performance.now() + pause.longest)

  async function list(): Promise<void> {
    const ready = await markers.keepOnly(() => listReadyFiles(dataDirectory))
    listed = ready.filter((name) => !markers.has(name)).reverse()
  }

  const isFree = (name: string) =>
    !inFlight.has(name) && !markers.has(name) && performance.now() >= (restsUntil.get(name) ?? 0)

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
      if (outcome === 'pushed') {
        restsUntil.delete(walName)
        failures = 0
        return
      }
      const now = performance.now()
      // Those that were in flight together failed together.
      if (now >= pausedUntil) {
        pausedUntil = now + Math.min(pause.first * 2 ** failures++, pause.longest)
      }
      restsUntil.set(walName, pausedUntil)
    },
  }
}
