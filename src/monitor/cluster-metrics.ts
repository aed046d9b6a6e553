import type { ClusterStatus } from '../schedule/status.ts'
import type { Assessed } from './assessed.ts'
import type { Family } from './exposition.ts'
import { type FamilyOf, familiesOf, gauge } from './families.ts'
import { type Severity, severities, severityCodes, worstFirst } from './finding.ts'
import type { ShippingLag } from './shipping-lag.ts'

/**
 * Sums over all clusters, and series of their own for at most so many of them, so that what a fleet of
 * thousands adds to Prometheus is bounded. A fleet of more has them for clusters that need attention, the
 * worst first.
 */
export function clusterMetrics(clusters: readonly Assessed[], most: number): Family[] {
  const wanting = worstFirst(clusters.filter(({ severity }) => severity !== 'ok'))
  const told = clusters.length <= most ? clusters : wanting.slice(0, most)
  const untold = clusters.length <= most ? 0 : wanting.length - told.length
  const labels = ({ name }: Assessed) => ({ cluster: name })
  return [
    ...familiesOf(counts, countsOf(clusters), ({ severity, position }) => ({
      severity,
      switch: position,
    })),
    ...familiesOf(sums, [{ clusters, untold }]),
    ...familiesOf(gauges, told, labels),
    ...familiesOf(positions, told, (one) => ({ ...labels(one), switch: one.switch })),
  ]
}

interface Count {
  readonly severity: Severity
  readonly position: ClusterStatus['switch']
  readonly clusters: number
}

/** Of every combination, also one that no cluster has: a series that comes and goes is hard to sum. */
function countsOf(clusters: readonly Assessed[]): Count[] {
  return severities.flatMap((severity) =>
    (['start', 'pause', 'stop'] as const).map((position) => ({
      severity,
      position,
      clusters: clusters.filter((one) => one.severity === severity && one.switch === position)
        .length,
    })),
  )
}

const counts: readonly FamilyOf<Count>[] = [
  gauge(
    'pgarch_clusters',
    'Clusters, by the worst that was found of them, and by their switch.',
    ({ clusters }) => clusters,
  ),
]

interface Fleet {
  readonly clusters: readonly Assessed[]
  readonly untold: number
}

const sums: readonly FamilyOf<Fleet>[] = [
  gauge(
    'pgarch_clusters_untold',
    'Clusters that need attention and have no series of their own: more than --clusters.',
    ({ untold }) => untold,
  ),
  gauge(
    'pgarch_members',
    'Hosts that may push for a cluster.',
    sumOf(({ hosts }) => hosts),
  ),
  gauge(
    'pgarch_members_never_seen',
    'Hosts that may push for a cluster, and never asked for its route.',
    sumOf(({ hosts, hostsSeen }) => hosts - hostsSeen),
  ),
  gauge(
    'pgarch_conflicts',
    'Open conflicts.',
    sumOf(({ openConflicts }) => openConflicts),
  ),
  gauge(
    'pgarch_failing_clusters',
    'Clusters whose last try to store a file failed.',
    sumOf(({ failures }) => (failures > 0 ? 1 : 0)),
  ),
  gauge(
    'pgarch_local_files',
    'WAL files in local archives of hosts.',
    sumOf(({ localFiles }) => localFiles),
  ),
  gauge(
    'pgarch_clusters_with_lost_files',
    'Clusters of which WAL files are on lost paths or hosts alone.',
    sumOf(({ lostFiles }) => (lostFiles > 0 ? 1 : 0)),
  ),
  gauge(
    'pgarch_dropped_files',
    'WAL files that were dropped on purpose.',
    sumOf(({ droppedFiles }) => droppedFiles),
  ),
]

function sumOf(number: (cluster: Assessed) => number): FamilyOf<Fleet>['value'] {
  return ({ clusters }) => clusters.reduce((sum, one) => sum + number(one), 0)
}

const gauges: readonly FamilyOf<Assessed>[] = [
  gauge(
    'pgarch_cluster_severity',
    'The worst that was found of the cluster: 0 ok, 1 warning, 2 critical, 3 unknown.',
    ({ severity }) => severityCodes[severity],
  ),
  gauge(
    'pgarch_cluster_last_archived_timestamp_seconds',
    'When a file of the cluster was stored on a path last.',
    ({ lastArchivedTime }) => lastArchivedTime,
  ),
  gauge(
    'pgarch_cluster_archive_timeout_seconds',
    "archive_timeout of the cluster's server when it was registered; 0: off.",
    ({ archiveTimeoutSeconds }) => archiveTimeoutSeconds,
  ),
  gauge(
    'pgarch_cluster_failures',
    'Tries to store a file of the cluster that failed since the last one that succeeded.',
    ({ failures }) => failures,
  ),
  gauge(
    'pgarch_cluster_last_failure_timestamp_seconds',
    'When a try to store a file of the cluster failed last.',
    ({ lastFailureTime }) => lastFailureTime,
  ),
  gauge(
    'pgarch_cluster_conflicts',
    'Open conflicts of the cluster.',
    ({ openConflicts }) => openConflicts,
  ),
  gauge(
    'pgarch_cluster_active_paths',
    "Active paths in the cluster's route.",
    ({ activePaths }) => activePaths,
  ),
  gauge(
    'pgarch_cluster_local_files',
    'WAL files of the cluster in local archives of its hosts.',
    ({ localFiles }) => localFiles,
  ),
  gauge(
    'pgarch_cluster_last_local_timestamp_seconds',
    'When the newest of those was recorded.',
    ({ localTime }) => localTime,
  ),
  gauge(
    'pgarch_cluster_has_lost_files',
    'Whether WAL files of the cluster are on lost paths or hosts alone.',
    ({ lostFiles }) => lostFiles > 0,
  ),
  gauge(
    'pgarch_cluster_last_loss_timestamp_seconds',
    'When a path or host that alone had WAL files of the cluster was declared lost last.',
    ({ lostTime }) => lostTime,
  ),
  gauge(
    'pgarch_cluster_dropped_files',
    'WAL files of the cluster that were dropped on purpose.',
    ({ droppedFiles }) => droppedFiles,
  ),
  gauge(
    'pgarch_cluster_last_drop_timestamp_seconds',
    'When a WAL file of the cluster was dropped last.',
    ({ lastDropTime }) => lastDropTime,
  ),
  gauge(
    'pgarch_cluster_shipping_lag_bytes',
    'WAL of the cluster that is not shipped yet; only where some is.',
    (cluster) => lagOf(cluster)?.bytes,
  ),
  gauge(
    'pgarch_cluster_shipping_lag_seconds',
    'How long WAL of the cluster is not shipped yet; only where some is.',
    (cluster) => {
      const lag = lagOf(cluster)
      return lag && lag.milliseconds / 1000
    },
  ),
]

/** Of a shipper that has ended by itself nobody expects more. */
function lagOf({ shipping, shippingLag }: Assessed): ShippingLag | null {
  return shipping?.ended === false ? shippingLag : null
}

const positions: readonly FamilyOf<Assessed>[] = [
  gauge(
    'pgarch_cluster_switch',
    "1 for the position of the cluster's switch: start, pause or stop.",
    () => 1,
  ),
]
