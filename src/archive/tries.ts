import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import type { Route } from '../schedule/types.ts'
import type { Tries } from './copy.ts'
import { conflictHint } from './take-route.ts'

export function isArchived(tries: Tries): boolean {
  const last = tries.at(-1)?.status
  return last === 'stored' || last === 'already-stored'
}

/** No path took it; but a conflict is an answer, and no reason to put it elsewhere. */
export function isRefused(tries: Tries): boolean {
  return tries.every(({ status }) => status === 'failed')
}

/** The store's own words name the path. */
export function warnOfFailures(tries: Tries): void {
  for (const { status, error } of tries) if (status === 'failed') log.warning(`${error}`)
}

/** Throws unless the last try has the file: `conflict`, `refused` without any path, `unreachable`. */
export function requireArchived(tries: Tries, route: Route, walName: string): void {
  const last = tries.at(-1)
  if (last?.status === 'conflict') {
    throw new PgarchError('conflict', `${last.error}`, { hint: conflictHint })
  }
  if (last?.status === 'already-stored') {
    log.info(`"${walName}" was already archived on path "${nameOf(last.pathId, route)}"`)
  }
  if (isArchived(tries)) return
  const { clusterName } = route
  if (route.paths.length === 0) {
    throw new PgarchError('refused', `cluster "${clusterName}" has no active archive path`, {
      hint: 'Add one with "pgarch path add" and "pgarch route set".',
    })
  }
  throw new PgarchError('unreachable', `no path of cluster "${clusterName}" took "${walName}"`, {
    hint: 'PostgreSQL keeps the file and tries again.',
  })
}

function nameOf(pathId: number | null, route: Route): string | undefined {
  return route.paths.find((path) => path.id === pathId)?.name
}
