import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import type { Schedule } from '../schedule/connect.ts'
import type { PathHealth } from '../schedule/health.ts'
import { failedFor, foundBy, notePathProbe, type PathFound } from '../schedule/probes.ts'
import type { Probe } from '../stores/store.ts'
import type { Finding } from './finding.ts'
import { withoutPath } from './path-findings.ts'

/** So many paths are looked at at once. */
const looksAtOnce = 8

/** In milliseconds: for all looks, and what a push gives a path before it takes it for dead. */
export interface ProbeTimes {
  readonly all: number
  readonly patience: number
}

/** Paths as they were found, or, where they could not be looked at, as they were, with the reason. */
export interface Probed {
  readonly paths: PathHealth[]
  readonly doubts: readonly Finding[]
}

/**
 * Looks at paths, and keeps what was found for all who ask. What stands in the way here, and not there, is
 * said of this look alone.
 */
export async function probePaths(
  schedule: Schedule,
  paths: readonly PathHealth[],
  look: (path: PathHealth) => Promise<Probe>,
  { all, patience }: ProbeTimes,
): Promise<Probed> {
  const each = all / 2
  const lastStart = performance.now() + all - each
  const looked = [...paths]
  const doubts: Finding[] = []
  const waiting = paths.entries()
  let unseen = 0
  const lane = async () => {
    for (const [index, path] of waiting) {
      if (performance.now() > lastStart) {
        unseen++
        continue
      }
      const found = await lookAtPath(() => look(path), each, patience)
      if (found instanceof PgarchError) {
        doubts.push(doubtOf(path, found))
      } else {
        await notePathProbe(schedule, path.id, found)
        looked[index] = withFound(path, found)
      }
    }
  }
  await Promise.all(Array.from({ length: looksAtOnce }, lane))
  if (unseen > 0) doubts.push(noTime(unseen, paths.length))
  return { paths: looked, doubts }
}

/** What a look at a path found, also when the path failed; or why it could not be looked at from here. */
async function lookAtPath(
  look: () => Promise<Probe>,
  milliseconds: number,
  patience: number,
): Promise<PathFound | PgarchError> {
  const late = sleep(milliseconds, 'late' as const, { ref: false })
  try {
    const probe = await Promise.race([look(), late])
    if (probe !== 'late') return foundBy(probe)
    const message = `no answer within ${milliseconds / 1000} s`
    if (milliseconds >= patience) return failedFor(message)
    return new PgarchError('unreachable', message, { hint: 'Give it more with --timeout.' })
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    return error.isOwn ? error : failedFor(error.message)
  }
}

function doubtOf({ name }: PathHealth, { message, hint }: PgarchError): Finding {
  const text = `could not be looked at from here: ${withoutPath(message, name)}`
  return { severity: 'unknown', about: `path "${name}"`, text, ...(hint && { hint }) }
}

function noTime(unseen: number, all: number): Finding {
  const text = `there was no time to look at ${unseen} of ${all}`
  return { severity: 'unknown', about: 'paths', text, hint: 'Give it more with --timeout.' }
}

function withFound(path: PathHealth, found: PathFound): PathHealth {
  const looked = { ...path, probeTime: path.asOf, probeError: found.error }
  if (found.freeBytes === null) return looked
  const { freeBytes, sizeBytes } = found
  return { ...looked, freeBytes, sizeBytes, spaceTime: path.asOf, storedSince: 0 }
}
