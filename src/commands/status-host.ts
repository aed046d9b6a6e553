import type { Command } from 'commander'
import type { HostStatus } from '../archive/host-status.ts'
import { configOf } from './command.ts'

/** What this host knows by itself of each of its data directories. */
export async function readHost(command: Command): Promise<HostStatus[]> {
  const { readHostStatus } = await import('../archive/host-status.ts')
  return await readHostStatus(await configOf(command))
}

export function hostNeedsAttention({ journalLength, localFiles, error }: HostStatus): boolean {
  return journalLength !== 0 || localFiles !== 0 || error !== null
}

export async function hostLines(host: readonly HostStatus[]): Promise<string[]> {
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
  const errors = host
    .filter(({ error }) => error !== null)
    .map(({ dataDirectory, error }) => tone.bad(`${dataDirectory}: ${error}`))
  return [...table, ...errors, '']
}
