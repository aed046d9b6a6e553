import { stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { PgarchError } from '../errors.ts'
import { writeDurably } from '../fs/durable.ts'
import { fileError } from '../fs/errors.ts'
import { readIfThere } from '../fs/there.ts'
import type { Route, SchedulePath } from './types.ts'

/** Of the file's format. */
const version = 1

const routeFile = 'route.json'

/** The route as it was when the scheduling database last told it. */
export interface CachedRoute {
  readonly route: Route
  /** When that was: the file is touched each time, and only written when the route is another. */
  readonly readTime: Date
}

/** Keeps a route in the state directory's route.json for a time when nobody can be asked. */
export async function cacheRoute(stateDirectory: string, route: Route): Promise<void> {
  const known = await readCachedRoute(stateDirectory, route.fingerprint)
  const file = join(stateDirectory, routeFile)
  // Not by version alone: a scheduling database that was restored may give one a second time.
  if (isDeepStrictEqual(known?.route, route)) {
    const now = new Date()
    await utimes(file, now, now).catch((thrown) => {
      throw fileError('touch file', file, thrown)
    })
    return
  }
  const text = JSON.stringify({ version, route }, undefined, 2)
  await writeDurably(file, `${text}\n`, { mode: 0o600 })
}

/**
 * Undefined when none was kept for this cluster, or it cannot be understood. `unusable` when it cannot
 * be read.
 */
export async function readCachedRoute(
  stateDirectory: string,
  fingerprint: string,
): Promise<CachedRoute | undefined> {
  const stored = await readStored<{ route: Route }>(stateDirectory, routeFile)
  if (stored?.route?.fingerprint !== fingerprint) return undefined
  const file = join(stateDirectory, routeFile)
  const { mtime } = await stat(file).catch((thrown) => {
    throw fileError('look at', file, thrown)
  })
  return { route: stored.route, readTime: mtime }
}

interface CachedPaths {
  readonly fingerprint: string
  readonly paths: readonly SchedulePath[]
}

/**
 * Keeps all paths of a cluster, the disabled ones too, in the state directory's paths.json: a standby
 * never pushes, and so has no route.
 */
export async function cachePaths(stateDirectory: string, known: CachedPaths): Promise<void> {
  const { fingerprint } = known
  const paths = known.paths.toSorted((one, other) => one.id - other.id)
  const before = await readStored<CachedPaths>(stateDirectory, 'paths.json')
  if (before?.fingerprint === fingerprint && isDeepStrictEqual(before.paths, paths)) return
  const text = JSON.stringify({ version, fingerprint, paths }, undefined, 2)
  await writeDurably(join(stateDirectory, 'paths.json'), `${text}\n`, { mode: 0o600 })
}

/** What both files know, preferred first; none when they know nothing of this cluster. */
export async function readCachedPaths(
  stateDirectory: string,
  fingerprint: string,
): Promise<SchedulePath[]> {
  const kept = await readStored<CachedPaths>(stateDirectory, 'paths.json')
  const cached = await readCachedRoute(stateDirectory, fingerprint)
  const all = kept?.fingerprint === fingerprint ? [...kept.paths] : []
  for (const path of cached?.route.paths ?? []) {
    if (!all.some(({ uuid }) => uuid === path.uuid)) all.push(path)
  }
  return all.sort((one, other) => other.priority - one.priority)
}

/**
 * For who only looks, and must not take a route that nobody can read for one that says nothing: rejects
 * with `unusable` when it is there, and is not what pgarch wrote.
 */
export async function requireReadableRoute(stateDirectory: string): Promise<void> {
  const file = join(stateDirectory, routeFile)
  const text = await readIfThere(file)
  if (text === undefined || parseStored(text) !== undefined) return
  throw new PgarchError('unusable', `file "${file}" is damaged`, {
    hint: 'Remove it: the next push that reaches the scheduling database writes it anew.',
  })
}

async function readStored<Stored>(
  stateDirectory: string,
  name: string,
): Promise<Stored | undefined> {
  const file = join(stateDirectory, name)
  const text = await readIfThere(file, 'ENOENT', 'EACCES')
  return text === undefined ? undefined : parseStored<Stored>(text)
}

function parseStored<Stored>(text: string): Stored | undefined {
  try {
    const stored = JSON.parse(text)
    return stored.version === version ? stored : undefined
  } catch {
    return undefined
  }
}
