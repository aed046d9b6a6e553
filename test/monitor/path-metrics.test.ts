import { expect, test } from 'vitest'
import { type AssessedPath, pathMetrics } from '../../src/monitor/path-metrics.ts'
import { samplesOf } from './samples.ts'

const time = (seconds: number) => new Date(seconds * 1000)

const berlin: AssessedPath = {
  id: 1,
  name: 'berlin',
  kind: 'local',
  active: true,
  lostTime: null,
  clusters: 2,
  files: 3,
  storedBytes: 400,
  capacityBytes: 5000,
  reserveBytes: 60,
  lastStoredTime: time(70),
  lastFailureTime: time(80),
  lastError: 'no space',
  failingClusters: 1,
  probeTime: time(90),
  probeError: null,
  freeBytes: 1000,
  sizeBytes: 2000,
  spaceTime: time(90),
  storedSince: 300,
  asOf: time(100),
  severity: 'warning',
}

const volume = {
  ...{ path: 'berlin', files: 1, walBytes: 2, storedBytes: 3, seconds: 4.5 },
  ...{ failures: 5, removedFiles: 6, removedBytes: 7 },
}

test('what is told of a path', () => {
  const told = Object.entries(samplesOf(pathMetrics([berlin], [volume])))
  expect(told.every(([series]) => series.endsWith('{path="berlin"}'))).toBe(true)
  expect(Object.fromEntries(told.map(([series, value]) => [series.split('{')[0], value]))).toEqual({
    pgarch_path_severity: 1,
    pgarch_path_active: 1,
    pgarch_path_clusters: 2,
    pgarch_path_files: 3,
    pgarch_path_file_bytes: 400,
    pgarch_path_capacity_bytes: 5000,
    pgarch_path_reserve_bytes: 60,
    pgarch_path_free_bytes: 700,
    pgarch_path_size_bytes: 2000,
    pgarch_path_probe_timestamp_seconds: 90,
    pgarch_path_probe_success: 1,
    pgarch_path_last_stored_timestamp_seconds: 70,
    pgarch_path_last_failure_timestamp_seconds: 80,
    pgarch_path_failing_clusters: 1,
    pgarch_path_stored_files_total: 1,
    pgarch_path_stored_wal_bytes_total: 2,
    pgarch_path_stored_bytes_total: 3,
    pgarch_path_storing_seconds_total: 4.5,
    pgarch_path_failures_total: 5,
    pgarch_path_removed_files_total: 6,
    pgarch_path_removed_bytes_total: 7,
  })
})

test('a path that nobody looked at is neither right nor wrong', () => {
  const success = (probe: Partial<AssessedPath>) =>
    samplesOf(pathMetrics([{ ...berlin, ...probe }], []))[
      'pgarch_path_probe_success{path="berlin"}'
    ]
  expect(success({ probeTime: null })).toBeUndefined()
  expect(success({ probeError: 'not mounted' })).toBe(0)
})

test('a lost path makes way for its successor of the same name', () => {
  const lost = { ...berlin, id: 2, files: 99, lostTime: time(1) }
  const families = pathMetrics([berlin, lost], [])
  expect(families.every(({ samples }) => samples.length <= 1)).toBe(true)
  expect(samplesOf(families)['pgarch_path_files{path="berlin"}']).toBe(3)
})
