import type { Config } from '../config.ts'
import { earliest } from '../earliest.ts'
import { describeError } from '../errors.ts'
import { isLocked } from '../fs/worker-lock.ts'
import { readMember } from '../postgres/member.ts'
import { listDataDirectories } from '../postgres/registrations.ts'
import { readShippingState, type ShippingState } from '../postgres/shipping-state.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { readCachedRoute } from '../schedule/cached-route.ts'
import { journalState } from '../schedule/journal.ts'
import { formatLsn } from '../wal/lsn.ts'
import { listLocalArchive } from './local-files.ts'
import { readWorkerStatus, type WorkerStatus } from './worker-status.ts'

/** What this host knows of one of its data directories without asking anybody. */
export interface HostStatus {
  readonly dataDirectory: string
  readonly clusterName: string | null
  /** Records that the scheduling database has not taken yet; null: it cannot be told. */
  readonly journalLength: number | null
  /** When the oldest of them was made; null when there is none. */
  readonly journalOldest: Date | null
  /** How many of them are of clusters that this data directory no longer belongs to. */
  readonly journalOfOthers: number
  /** Files in the local archive: on this host alone, as far as it knows; null: it cannot be told. */
  readonly localFiles: number | null
  /** When the oldest of them was put there; null when there is none. */
  readonly localOldest: Date | null
  /** When the route was last read from the scheduling database; null: never. */
  readonly routeReadTime: Date | null
  /** What its shipper told last, and whether one runs; null: there never was one. */
  readonly shipping: HostShipping | null
  /** Null when it could not be read. */
  readonly worker: WorkerStatus | null
  /** Why something could not be read; null when all could. */
  readonly error: string | null
}

export interface HostShipping extends Omit<ShippingState, 'shipped' | 'flushed'> {
  readonly isRunning: boolean
  /** LSNs; null: nothing yet. */
  readonly shippedLsn: string | null
  readonly flushLsn: string
  readonly lagBytes: number
}

/** Of every data directory that was registered on this host. */
export async function readHostStatus(config: Config): Promise<HostStatus[]> {
  const directories = await listDataDirectories(config.stateDirectory)
  return await Promise.all(
    directories.map(({ path, trouble }) =>
      trouble === undefined ? statusOf(path, config) : nothingOf(path, trouble.message),
    ),
  )
}

async function statusOf(dataDirectory: string, config: Config): Promise<HostStatus> {
  const stateDirectory = stateDirectoryOf(config.stateDirectory, { path: dataDirectory })
  // One that cannot be read must not hide what the other holds.
  const [known, local] = await Promise.all([
    readKnown(dataDirectory, stateDirectory, config).catch(describeError),
    readLocal(stateDirectory, config).catch(describeError),
  ])
  const errors = [known, local].filter((one) => typeof one === 'string')
  return {
    dataDirectory,
    ...(typeof known === 'string' ? nothingKnown : known),
    ...(typeof local === 'string' ? nothingLocal : local),
    error: errors.length === 0 ? null : errors.join('; '),
  }
}

const nothingKnown = {
  clusterName: null,
  journalLength: null,
  journalOldest: null,
  journalOfOthers: 0,
  routeReadTime: null,
  shipping: null,
  worker: null,
}

function nothingOf(dataDirectory: string, error: string): HostStatus {
  return { dataDirectory, ...nothingKnown, ...nothingLocal, error }
}

async function readKnown(dataDirectory: string, stateDirectory: string, config: Config) {
  const member = await readMember(stateDirectory, undefined)
  const journal = await journalState(stateDirectory, member?.fingerprint)
  const cached = member && (await readCachedRoute(stateDirectory, member.fingerprint))
  return {
    clusterName: cached?.route.clusterName ?? member?.clusterName ?? null,
    journalLength: journal.length,
    journalOldest: journal.oldest,
    journalOfOthers: journal.ofOthers,
    routeReadTime: cached?.readTime ?? null,
    shipping: await readShipping(stateDirectory),
    worker: await readWorkerStatus(dataDirectory, stateDirectory, cached, config),
  }
}

async function readShipping(stateDirectory: string): Promise<HostShipping | null> {
  const state = await readShippingState(stateDirectory)
  if (state === undefined) return null
  const { shipped, flushed, ...rest } = state
  return {
    ...rest,
    isRunning: await isLocked(stateDirectory, 'ship'),
    shippedLsn: shipped === null ? null : formatLsn(shipped),
    flushLsn: formatLsn(flushed),
    lagBytes: shipped === null ? 0 : Math.max(Number(flushed - shipped), 0),
  }
}

const nothingLocal = { localFiles: null, localOldest: null }

async function readLocal(stateDirectory: string, config: Config) {
  const files = await listLocalArchive({ stateDirectory, config })
  return {
    localFiles: files.length,
    localOldest: earliest(files.map(({ storedTime }) => storedTime)) ?? null,
  }
}
