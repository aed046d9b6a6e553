import type { Command } from 'commander'
import type { HostStatus } from '../archive/host-status.ts'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { ArchivingFailure } from '../monitor/host-archiving.ts'
import { configOf } from './command.ts'

/** What this host knows by itself of one of its data directories. */
export interface HostReading extends HostStatus {
  /** Files that PostgreSQL wants archived; null: it cannot be told, or is no member, as what was restored. */
  readonly readyFiles: number | null
  /** When the first of them became ready; null when there is none. */
  readonly readyOldest: Date | null
  /** Of a file that still waits. */
  readonly failure: ArchivingFailure | null
}

/** Of each data directory that is registered on this host. */
export async function readHost(command: Command): Promise<HostReading[]> {
  const { readHostStatus } = await import('../archive/host-status.ts')
  const config = await configOf(command)
  const statuses = await readHostStatus(config)
  return await Promise.all(statuses.map((status) => withArchiving(status, config)))
}

async function withArchiving(status: HostStatus, config: Config): Promise<HostReading> {
  const { openRegistered } = await import('../postgres/registered.ts')
  const { readHostArchiving } = await import('../monitor/host-archiving.ts')
  const { stateDirectoryOf } = await import('../postgres/state-directory.ts')
  const { dataDirectory: path } = status
  const unknown = { readyFiles: null, readyOldest: null, failure: null }
  if (status.clusterName === null) return { ...status, ...unknown }
  try {
    const { dataDirectory, member } = await openRegistered(path, config.stateDirectory, undefined)
    const stateDirectory = stateDirectoryOf(config.stateDirectory, { path })
    const { ready, failure } = await readHostArchiving(dataDirectory, stateDirectory, member)
    const readyOldest = ready.oldest ?? null
    return { ...status, readyFiles: ready.count, readyOldest, failure: failure ?? null }
  } catch (thrown) {
    if (!(thrown instanceof PgarchError)) throw thrown
    return { ...status, ...unknown, error: status.error ?? thrown.message }
  }
}

/** What waits to be archived is usual; that it could not be is not. */
export function hostNeedsAttention(host: HostReading): boolean {
  const { journalLength, localFiles, failure, error } = host
  return journalLength !== 0 || localFiles !== 0 || failure !== null || error !== null
}

export async function hostLines(host: readonly HostReading[]): Promise<string[]> {
  const { prettySize, prettyTime, rowLines, tone } = await import('../print.ts')
  const waiting = (count: number | null) => {
    if (count === null) return tone.bad('cannot tell')
    return count === 0 ? tone.good('empty') : tone.doubtful(String(count))
  }
  const table = rowLines(
    host,
    [
      { title: 'data directory on this host', value: ({ dataDirectory }) => dataDirectory },
      { title: 'cluster', value: ({ clusterName }) => clusterName },
      {
        title: 'to archive',
        value: ({ clusterName, readyFiles }) =>
          clusterName === null ? undefined : waiting(readyFiles),
      },
      { title: 'oldest', value: ({ readyOldest }) => prettyTime(readyOldest) },
      {
        title: 'journal',
        value: ({ journalLength, journalOfOthers }) =>
          journalOfOthers === 0
            ? waiting(journalLength)
            : tone.bad(`${journalLength}, ${journalOfOthers} of another cluster`),
      },
      { title: 'oldest', value: ({ journalOldest }) => prettyTime(journalOldest) },
      { title: 'local archive', value: ({ localFiles }) => waiting(localFiles) },
      { title: 'oldest', value: ({ localOldest }) => prettyTime(localOldest) },
      { title: 'route read', value: ({ routeReadTime }) => prettyTime(routeReadTime) },
      {
        title: 'worker',
        value: ({ worker }) => {
          if (worker === null || 'absence' in worker) return worker?.absence
          return tone.good(`pid ${worker.pid ?? 'unknown'} since ${prettyTime(worker.since)}`)
        },
      },
      {
        title: 'shipped',
        value: ({ shipping }) => {
          if (shipping === null) return undefined
          const { isRunning, shippedLsn, path, lagBytes, time } = shipping
          const far = `${shippedLsn ?? 'nothing'} on ${path ?? 'no path'} at ${prettyTime(time)}`
          if (!isRunning) return tone.doubtful(`${far}, no shipper runs`)
          return lagBytes === 0
            ? tone.good(far)
            : tone.doubtful(`${far}, ${prettySize(lagBytes)} behind`)
        },
      },
    ],
    'No data directory was registered on this host.',
  )
  const failures = host.flatMap(({ dataDirectory, failure, error }) => [
    ...(failure === null
      ? []
      : [`${dataDirectory}: "${failure.walName}" could not be archived: ${failure.reason}`]),
    ...(error === null ? [] : [`${dataDirectory}: ${error}`]),
  ])
  return [...table, ...failures.map(tone.bad), '']
}
