import { freeNow, type PathHealth } from '../schedule/health.ts'
import type { PathVolume } from '../schedule/volume.ts'
import type { Family } from './exposition.ts'
import { counter, type FamilyOf, familiesOf, gauge } from './families.ts'
import { type Severity, severityCodes } from './finding.ts'

/** A path, and the worst that was found of it. */
export interface AssessedPath extends PathHealth {
  readonly severity: Severity
}

/** Of all paths that are not lost: a lost one may have a successor of its name. */
export function pathMetrics(
  paths: readonly AssessedPath[],
  volumes: readonly PathVolume[],
): Family[] {
  const kept = paths.filter(({ lostTime }) => lostTime === null)
  return [
    ...familiesOf(gauges, kept, ({ name }) => ({ path: name })),
    ...familiesOf(counters, volumes, ({ path }) => ({ path })),
  ]
}

const gauges: readonly FamilyOf<AssessedPath>[] = [
  gauge(
    'pgarch_path_severity',
    'The worst that was found of the path: 0 ok, 1 warning, 2 critical, 3 unknown.',
    ({ severity }) => severityCodes[severity],
  ),
  gauge('pgarch_path_active', 'Whether the path takes files; 0: disabled.', ({ active }) => active),
  gauge(
    'pgarch_path_clusters',
    'Clusters that have the path in their route, active there.',
    ({ clusters }) => clusters,
  ),
  gauge('pgarch_path_files', 'Files that lie on the path.', ({ files }) => files),
  gauge(
    'pgarch_path_file_bytes',
    'Size of the files that lie on the path, as stored.',
    ({ storedBytes }) => storedBytes,
  ),
  gauge(
    'pgarch_path_capacity_bytes',
    'What the path is meant to hold, where that was told.',
    ({ capacityBytes }) => capacityBytes,
  ),
  gauge(
    'pgarch_path_reserve_bytes',
    'What push leaves free on the path.',
    (path) => path.reserveBytes,
  ),
  gauge(
    'pgarch_path_free_bytes',
    "Free on the path's file system: as it told last, less what was stored since.",
    freeNow,
  ),
  gauge(
    'pgarch_path_size_bytes',
    "The size of the path's file system, without what only root may write, as it told last.",
    ({ sizeBytes }) => sizeBytes,
  ),
  gauge(
    'pgarch_path_probe_timestamp_seconds',
    'When the path was probed last.',
    ({ probeTime }) => probeTime,
  ),
  gauge(
    'pgarch_path_probe_success',
    'Whether the path was as it should be, when it was probed last.',
    ({ probeTime, probeError }) => (probeTime === null ? null : probeError === null),
  ),
  gauge(
    'pgarch_path_last_stored_timestamp_seconds',
    'When a file was stored on the path last.',
    ({ lastStoredTime }) => lastStoredTime,
  ),
  gauge(
    'pgarch_path_last_failure_timestamp_seconds',
    'When a try to store a file on the path failed last.',
    ({ lastFailureTime }) => lastFailureTime,
  ),
  gauge(
    'pgarch_path_failing_clusters',
    'Clusters whose last try to store a file on the path failed, within a day.',
    ({ failingClusters }) => failingClusters,
  ),
]

const counters: readonly FamilyOf<PathVolume>[] = [
  counter(
    'pgarch_path_stored_files_total',
    'Files stored on the path since midnight UTC.',
    ({ files }) => files,
  ),
  counter(
    'pgarch_path_stored_wal_bytes_total',
    'WAL in files stored on the path since midnight UTC, before compression.',
    ({ walBytes }) => walBytes,
  ),
  counter(
    'pgarch_path_stored_bytes_total',
    'Size of files stored on the path since midnight UTC, as stored.',
    ({ storedBytes }) => storedBytes,
  ),
  counter(
    'pgarch_path_storing_seconds_total',
    'Time that storing files on the path took since midnight UTC.',
    ({ seconds }) => seconds,
  ),
  counter(
    'pgarch_path_failures_total',
    'Tries to store a file on the path that failed since midnight UTC.',
    ({ failures }) => failures,
  ),
  counter(
    'pgarch_path_removed_files_total',
    'Files removed from the path since midnight UTC.',
    ({ removedFiles }) => removedFiles,
  ),
  counter(
    'pgarch_path_removed_bytes_total',
    'Size of files removed from the path since midnight UTC, as stored.',
    ({ removedBytes }) => removedBytes,
  ),
]
