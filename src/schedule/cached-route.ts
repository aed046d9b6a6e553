import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import type { Route } from './types.ts'

/** Of the file's format. */
const version = 1

/** The route as it was when the scheduling database last told it. */
export interface CachedRoute {
  readonly route: Route
  readonly readTime: Date
}

/** Keeps a route in the state directory's route.json for a time when nobody can be asked. */
export async function cacheRoute(stateDirectory: string, route: Route): Promise<void> {
  const known = await readCachedRoute(stateDirectory, route.fingerprint)
  if (known?.route.version === route.version) return
  const text = JSON.stringify({ version, readTime: new Date(), route }, undefined, 2)
  await writeDurably(join(stateDirectory, 'route.json'), `${text}\n`, { mode: 0o600 })
}

/**
 * Undefined when none was kept for this cluster, or it cannot be understood. `unusable` when it cannot
 * be read.
 */
export async function readCachedRoute(
  stateDirectory: string,
  fingerprint: string,
): Promise<CachedRoute | undefined> {
  const file = join(stateDirectory, 'route.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'EACCES')) return undefined
    throw fileError('read file', file, thrown)
  }
  try {
    const stored = JSON.parse(text)
    if (stored.version !== version || stored.route.fingerprint !== fingerprint) return undefined
    return { route: stored.route, readTime: new Date(stored.readTime) }
  } catch {
    return undefined
  }
}
