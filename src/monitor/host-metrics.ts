import type { Switch } from '../schedule/types.ts'
import type { Family } from './exposition.ts'
import { type FamilyOf, familiesOf, gauge } from './families.ts'
import type { HostArchiving } from './host-archiving.ts'
import type { WalSpace } from './wal-space.ts'

/** What a host knows of one of its data directories; null: not to be had, or there is none. */
export interface HostFacts {
  readonly dataDirectory: string
  readonly clusterName: string | null
  readonly archiving: HostArchiving | null
  readonly walSpace: WalSpace | null
  readonly routeReadTime: Date | null
  readonly journalLength: number | null
  readonly journalOldest: Date | null
  readonly journalOfOthers: number
  readonly localFiles: number | null
  readonly localOldest: Date | null
  readonly workerRuns: boolean | null
  readonly shipping: {
    readonly isRunning: boolean
    readonly lagBytes: number
    readonly time: Date
  } | null
  /** Why something could not be read; null when all could. */
  readonly error: string | null
}

/** No name of theirs is one of the fleet's: node_exporter refuses a family that two files have. */
export function hostMetrics(facts: readonly HostFacts[], now: Date): Family[] {
  const labels = ({ dataDirectory, clusterName }: HostFacts) => ({
    data_directory: dataDirectory,
    cluster: clusterName ?? '',
  })
  const switches = facts.flatMap((one) => {
    const position = one.archiving?.route?.route.switch
    return position === undefined ? [] : [{ ...one, position }]
  })
  return [
    ...familiesOf(readingGauges, [now]),
    ...familiesOf(gauges, facts, labels),
    ...familiesOf(switchGauges, switches, (one) => ({ ...labels(one), switch: one.position })),
  ]
}

const readingGauges: readonly FamilyOf<Date>[] = [
  gauge('pgarch_host_read_timestamp_seconds', 'When this host was looked at.', (now) => now),
]

const gauges: readonly FamilyOf<HostFacts>[] = [
  gauge(
    'pgarch_host_up',
    'Whether all could be read that pgarch keeps for a data directory.',
    ({ error }) => error === null,
  ),
  gauge(
    'pgarch_host_ready_files',
    'Files that wait in pg_wal to be archived.',
    ({ archiving }) => archiving?.ready.count,
  ),
  gauge(
    'pgarch_host_ready_oldest_timestamp_seconds',
    'Since when the oldest file waits to be archived.',
    ({ archiving }) => archiving?.ready.oldest,
  ),
  gauge(
    'pgarch_host_push_failed',
    'Whether the last push of a file that waits failed.',
    ({ archiving }) => (archiving === null ? null : archiving.failure !== undefined),
  ),
  gauge(
    'pgarch_host_route_read_timestamp_seconds',
    'When the route was last read from the scheduling database.',
    ({ routeReadTime }) => routeReadTime,
  ),
  gauge(
    'pgarch_host_journal_records',
    'Records that the scheduling database has not taken yet.',
    ({ journalLength }) => journalLength,
  ),
  gauge(
    'pgarch_host_journal_oldest_timestamp_seconds',
    'Since when the oldest record waits for the scheduling database.',
    ({ journalOldest }) => journalOldest,
  ),
  gauge(
    'pgarch_host_journal_foreign_records',
    'Records of clusters that the data directory no longer belongs to: they are not delivered.',
    ({ journalLength, journalOfOthers }) => (journalLength === null ? null : journalOfOthers),
  ),
  gauge(
    'pgarch_host_local_files',
    'Files in the local archive, on this host alone.',
    ({ localFiles }) => localFiles,
  ),
  gauge(
    'pgarch_host_local_oldest_timestamp_seconds',
    'Since when the oldest file lies in the local archive.',
    ({ localOldest }) => localOldest,
  ),
  gauge(
    'pgarch_host_worker_running',
    'Whether a worker runs; it ends when nothing is to be done.',
    ({ workerRuns }) => workerRuns,
  ),
  gauge(
    'pgarch_host_shipper_running',
    'Whether a shipper runs; only where there was one.',
    ({ shipping }) => shipping?.isRunning,
  ),
  gauge(
    'pgarch_host_shipping_lag_bytes',
    'WAL that the shipper had not shipped when it told last.',
    ({ shipping }) => shipping?.lagBytes,
  ),
  gauge(
    'pgarch_host_shipping_timestamp_seconds',
    'When the shipper told last.',
    ({ shipping }) => shipping?.time,
  ),
  gauge(
    'pgarch_host_wal_free_bytes',
    'Free on the file system that pg_wal lies on.',
    ({ walSpace }) => walSpace?.free,
  ),
  gauge(
    'pgarch_host_wal_size_bytes',
    'Size of the file system that pg_wal lies on, as far as the server may use it.',
    ({ walSpace }) => walSpace?.total,
  ),
]

const switchGauges: readonly FamilyOf<{ position: Switch }>[] = [
  gauge(
    'pgarch_host_switch',
    "1 for the position of the cluster's switch, as this host read it last: start, pause or stop.",
    () => 1,
  ),
]
