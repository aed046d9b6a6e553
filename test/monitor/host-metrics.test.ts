import { expect, test } from 'vitest'
import { type HostFacts, hostMetrics } from '../../src/monitor/host-metrics.ts'
import { samplesOf } from './samples.ts'

const time = (seconds: number) => new Date(seconds * 1000)

const idle: HostFacts = {
  dataDirectory: '/data',
  clusterName: 'app',
  archiving: { ready: { count: 0, oldest: undefined }, failure: undefined, route: undefined },
  walSpace: { free: 10, total: 20 },
  routeReadTime: null,
  journalLength: 0,
  journalOldest: null,
  journalOfOthers: 0,
  localFiles: 0,
  localOldest: null,
  workerRuns: false,
  shipping: null,
  error: null,
}

/** By name, of the one data directory. */
function told(facts: HostFacts): Record<string, number> {
  const samples = Object.entries(samplesOf(hostMetrics([facts], time(100))))
  return Object.fromEntries(
    samples.map(([series, value]) => [
      series.replace('data_directory="/data",cluster="app"', ''),
      value,
    ]),
  )
}

test('what is told of a host where nothing waits', () => {
  expect(told(idle)).toEqual({
    pgarch_host_read_timestamp_seconds: 100,
    'pgarch_host_up{}': 1,
    'pgarch_host_ready_files{}': 0,
    'pgarch_host_push_failed{}': 0,
    'pgarch_host_journal_records{}': 0,
    'pgarch_host_journal_foreign_records{}': 0,
    'pgarch_host_local_files{}': 0,
    'pgarch_host_worker_running{}': 0,
    'pgarch_host_wal_free_bytes{}': 10,
    'pgarch_host_wal_size_bytes{}': 20,
  })
})

test('what is told of a host in trouble', () => {
  const route = {
    fingerprint: '',
    clusterName: 'app',
    version: 1,
    switch: 'pause',
    switchReason: null,
    switchAuthor: null,
    paths: [],
  } as const
  const failure = { walName: '000000010000000000000001', time: time(5), reason: 'x', hint: null }
  expect(
    told({
      ...idle,
      archiving: {
        ready: { count: 2, oldest: time(10) },
        failure,
        route: { route, readTime: time(20) },
      },
      routeReadTime: time(20),
      journalLength: 3,
      journalOldest: time(30),
      journalOfOthers: 1,
      localFiles: 4,
      localOldest: time(40),
      workerRuns: true,
      shipping: { isRunning: true, lagBytes: 50, time: time(60) },
      error: 'could not read something else',
    }),
  ).toMatchObject({
    'pgarch_host_up{}': 0,
    'pgarch_host_ready_files{}': 2,
    'pgarch_host_ready_oldest_timestamp_seconds{}': 10,
    'pgarch_host_push_failed{}': 1,
    'pgarch_host_route_read_timestamp_seconds{}': 20,
    'pgarch_host_journal_records{}': 3,
    'pgarch_host_journal_oldest_timestamp_seconds{}': 30,
    'pgarch_host_journal_foreign_records{}': 1,
    'pgarch_host_local_files{}': 4,
    'pgarch_host_local_oldest_timestamp_seconds{}': 40,
    'pgarch_host_worker_running{}': 1,
    'pgarch_host_shipper_running{}': 1,
    'pgarch_host_shipping_lag_bytes{}': 50,
    'pgarch_host_shipping_timestamp_seconds{}': 60,
    'pgarch_host_switch{,switch="pause"}': 1,
  })
})

test('what cannot be read is not told as if it were nothing', () => {
  const unknown = {
    ...{ archiving: null, walSpace: null, journalLength: null, localFiles: null },
    ...{ workerRuns: null, error: 'permission denied' },
  }
  expect(told({ ...idle, ...unknown })).toEqual({
    pgarch_host_read_timestamp_seconds: 100,
    'pgarch_host_up{}': 0,
  })
})

test('data directories are told apart, one without a known cluster too', () => {
  const other = { ...idle, dataDirectory: '/other', clusterName: null }
  const samples = samplesOf(hostMetrics([idle, other], time(100)))
  expect(samples['pgarch_host_up{data_directory="/data",cluster="app"}']).toBe(1)
  expect(samples['pgarch_host_up{data_directory="/other",cluster=""}']).toBe(1)
})
