import type { Markers } from './markers.ts'
import { isHistory, listReadyFiles } from './ready-files.ts'

/** A file that failed is left alone for so long, in milliseconds. */
const pause = 1000

/**
 * Which file comes next. The directory is listed only when all that was listed has been given out, so
 * that a long backlog costs one listing and not one a file; new files have later names. Timeline
 * history files, which come first, are let in by name.
 */
export interface ReadyQueue {
  /** Undefined when there is nothing to do now. */
  next(): Promise<string | undefined>
  /** A timeline history file became ready. */
  hurry(walName: string): void
  /** The file was archived, or it failed and can be given out again after a pause. */
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
  // The push that started the worker is archiving this one itself.
  if (except !== undefined) restsUntil.set(except, performance.now() + 5 * pause)

  async function list(): Promise<void> {
    const ready = await listReadyFiles(dataDirectory)
    await markers.keepOnly(new Set(ready))
    listed = ready.filter((name) => !markers.has(name)).reverse()
  }

  const isFree = (name: string) =>
    !inFlight.has(name) && !markers.has(name) && performance.now() >= (restsUntil.get(name) ?? 0)

  return {
    async next() {
      if (listed.length === 0) await list()
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
      if (outcome === 'failed') restsUntil.set(walName, performance.now() + pause)
      else restsUntil.delete(walName)
    },
  }
}
