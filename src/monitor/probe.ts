import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import type { Schedule } from '../schedule/connect.ts'
import type { PathHealth } from '../schedule/health.ts'
import { foundBy, notePathProbe, type PathFound } from '../schedule/probes.ts'
import type { Probe } from '../stores/store.ts'

/** So many paths are looked at at once. */
const looksAtOnce = 8

/** What a look at a path found, also when it failed, or did not end in time. */
export async function lookAtPath(
  look: () => Promise<Probe>,
  milliseconds: number,
): Promise<PathFound> {
  const nothing = { freeBytes: null, sizeBytes: null }
  const late = sleep(milliseconds, 'late' as const, { ref: false })
  try {
    const probe = await Promise.race([look(), late])
    if (probe === 'late') return { error: `no answer within ${milliseconds / 1000} s`, ...nothing }
    return foundBy(probe)
  } catch (error) {
    if (error instanceof PgarchError) return { error: error.message, ...nothing }
    throw error
  }
}

/**
 * Looks at paths, and keeps what was found for all who ask. Resolves within `milliseconds` to the paths as
 * they were found, and to how many there was no time to look at, which are as they were.
 */
export async function probePaths(
  schedule: Schedule,
  paths: readonly PathHealth[],
  look: (path: PathHealth) => Promise<Probe>,
  milliseconds: number,
): Promise<{ paths: PathHealth[]; unseen: number }> {
  const ownTime = milliseconds / 2
  const lastStart = performance.now() + milliseconds - ownTime
  const looked = [...paths]
  const waiting = paths.entries()
  let unseen = 0
  const lane = async () => {
    for (const [index, path] of waiting) {
      if (performance.now() > lastStart) {
        unseen++
        continue
      }
      const found = await lookAtPath(() => look(path), ownTime)
      await notePathProbe(schedule, path.id, found)
      looked[index] = withFound(path, found)
    }
  }
  await Promise.all(Array.from({ length: looksAtOnce }, lane))
  return { paths: looked, unseen }
}

function withFound(path: PathHealth, found: PathFound): PathHealth {
  const looked = { ...path, probeTime: path.asOf, probeError: found.error }
  if (found.freeBytes === null) return looked
  const { freeBytes, sizeBytes } = found
  return { ...looked, freeBytes, sizeBytes, spaceTime: path.asOf, storedSince: 0 }
}
