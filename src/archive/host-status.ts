import type { Config } from '../config.ts'
import { describeError } from '../errors.ts'
import { readMember } from '../postgres/member.ts'
import { listDataDirectories, stateDirectoryOf } from '../postgres/state-directory.ts'
import { readCachedRoute } from '../schedule/cached-route.ts'
import { journalState } from '../schedule/journal.ts'
import { readWorkerStatus, type WorkerStatus } from './worker-status.ts'

/** What this host knows of one of its data directories without asking anybody. */
export interface HostStatus {
  readonly dataDirectory: string
  readonly clusterName: string | null
  /** Records that the scheduling database has not taken yet. */
  readonly journalLength: number
  /** When the oldest of them was made; null when there is none. */
  readonly journalOldest: Date | null
  /** When the route was last read from the scheduling database; null: never. */
  readonly routeReadTime: Date | null
  /** Null when it could not be read. */
  readonly worker: WorkerStatus | null
  /** Why the rest could not be read; null when it could. */
  readonly error: string | null
}

/** Of every data directory that was registered on this host. */
export async function readHostStatus(config: Config): Promise<HostStatus[]> {
  const directories = await listDataDirectories(config.stateDirectory)
  return await Promise.all(directories.map((path) => statusOf(path, config)))
}

async function statusOf(dataDirectory: string, config: Config): Promise<HostStatus> {
  const stateDirectory = stateDirectoryOf(config.stateDirectory, { path: dataDirectory })
  try {
    const member = await readMember(stateDirectory, undefined)
    const journal = await journalState(stateDirectory)
    const cached = member && (await readCachedRoute(stateDirectory, member.fingerprint))
    return {
      dataDirectory,
      clusterName: cached?.route.clusterName ?? member?.clusterName ?? null,
      journalLength: journal.length,
      journalOldest: journal.oldest,
      routeReadTime: cached?.readTime ?? null,
      worker: await readWorkerStatus(dataDirectory, stateDirectory, cached, config),
      error: null,
    }
  } catch (error) {
    return {
      dataDirectory,
      clusterName: null,
      journalLength: 0,
      journalOldest: null,
      routeReadTime: null,
      worker: null,
      error: describeError(error),
    }
  }
}
