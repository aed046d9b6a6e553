import { expect, test } from 'vitest'
import type { Assessed } from '../../src/monitor/assessed.ts'
import { clusterMetrics } from '../../src/monitor/cluster-metrics.ts'
import type { Severity } from '../../src/monitor/finding.ts'
import { samplesOf as familySamples } from './samples.ts'
import { wellCluster } from './well.ts'

const time = (seconds: number) => new Date(seconds * 1000)

/** One that archives as it should. */
function cluster(name: string, properties: Partial<Assessed> = {}): Assessed {
  return {
    ...wellCluster,
    fingerprint: name,
    name,
    createTime: time(0),
    route: [],
    lastWalName: '000000010000000000000001',
    lastArchivedTime: time(1000),
    archiveTimeoutSeconds: 60,
    members: [],
    asOf: time(1000),
    severity: 'ok',
    shippingLag: null,
    concerns: [],
    ...properties,
  }
}

const shipping = {
  host: 'one',
  path: 'berlin',
  timeline: 1,
  shippedLsn: '0/4000000',
  flushLsn: '0/4000100',
  caughtUpTime: time(0),
  toldTime: time(1000),
  ended: false,
}

const samplesOf = (clusters: readonly Assessed[], most: number) =>
  new Map(Object.entries(familySamples(clusterMetrics(clusters, most))))

const withSeries = (samples: Map<string, number>) =>
  [...samples.keys()].flatMap(
    (series) => /^pgarch_cluster_severity\{.*"(.*)"\}$/.exec(series)?.[1] ?? [],
  )

test('clusters are counted by what was found of them and by switch, those that none is like too', () => {
  const samples = samplesOf(
    [
      cluster('a'),
      cluster('b'),
      cluster('c', { severity: 'critical', switch: 'stop' }),
      cluster('d', { severity: 'warning', switch: 'pause' }),
    ],
    0,
  )
  const counts = [...samples].filter(([series]) => series.startsWith('pgarch_clusters{'))
  expect(counts).toHaveLength(12)
  expect(counts.filter(([, count]) => count > 0)).toEqual([
    ['pgarch_clusters{severity="ok",switch="start"}', 2],
    ['pgarch_clusters{severity="warning",switch="pause"}', 1],
    ['pgarch_clusters{severity="critical",switch="stop"}', 1],
  ])
})

test('sums are of all clusters, also of those without series', () => {
  const samples = samplesOf(
    [
      cluster('a', {
        openConflicts: 2,
        localFiles: 3,
        failures: 9,
        hosts: 2,
        hostsSeen: 1,
      }),
      cluster('b', { openConflicts: 1, lostFiles: 4, droppedFiles: 5, hostsSeen: 0 }),
      cluster('c', { failures: 1 }),
    ],
    0,
  )
  expect(Object.fromEntries(samples)).toMatchObject({
    pgarch_conflicts: 3,
    pgarch_local_files: 3,
    pgarch_clusters_with_lost_files: 1,
    pgarch_dropped_files: 5,
    pgarch_failing_clusters: 2,
    pgarch_members: 4,
    pgarch_members_never_seen: 2,
  })
})

test('what is told of a cluster', () => {
  const samples = samplesOf(
    [
      cluster('app', {
        severity: 'critical',
        switch: 'pause',
        failures: 7,
        lastFailureTime: time(1234),
        openConflicts: 2,
        localFiles: 3,
        localTime: time(1235),
        lostFiles: 4,
        lostTime: time(40),
        droppedFiles: 5,
        lastDropTime: time(50),
        shippingLag: { bytes: 100, milliseconds: 2500 },
        shipping,
      }),
    ],
    1,
  )
  const own = [...samples].filter(([series]) => series.includes('cluster="app"'))
  expect(
    Object.fromEntries(own.map(([series, value]) => [series.replace('cluster="app"', ''), value])),
  ).toEqual({
    'pgarch_cluster_severity{}': 2,
    'pgarch_cluster_last_archived_timestamp_seconds{}': 1000,
    'pgarch_cluster_archive_timeout_seconds{}': 60,
    'pgarch_cluster_failures{}': 7,
    'pgarch_cluster_last_failure_timestamp_seconds{}': 1234,
    'pgarch_cluster_conflicts{}': 2,
    'pgarch_cluster_active_paths{}': 1,
    'pgarch_cluster_local_files{}': 3,
    'pgarch_cluster_last_local_timestamp_seconds{}': 1235,
    'pgarch_cluster_has_lost_files{}': 1,
    'pgarch_cluster_last_loss_timestamp_seconds{}': 40,
    'pgarch_cluster_dropped_files{}': 5,
    'pgarch_cluster_last_drop_timestamp_seconds{}': 50,
    'pgarch_cluster_shipping_lag_bytes{}': 100,
    'pgarch_cluster_shipping_lag_seconds{}': 2.5,
    'pgarch_cluster_switch{,switch="pause"}': 1,
  })
})

test('how far a shipper that ended by itself had come is not told as a lag', () => {
  const ended = { ...shipping, ended: true }
  const shippingLag = { bytes: 100, milliseconds: 2500 }
  const samples = samplesOf([cluster('app', { shipping: ended, shippingLag })], 1)
  expect([...samples.keys()].join(' ')).not.toContain('shipping_lag')
})

test('what nobody knows of a cluster is not told', () => {
  const samples = samplesOf(
    [cluster('new', { lastArchivedTime: null, archiveTimeoutSeconds: null, activePaths: 0 })],
    1,
  )
  const names = [...samples.keys()].filter((series) => series.includes('"new"')).join(' ')
  expect(names).not.toMatch(/last_archived|timeout|last_failure|shipping/)
  expect(samples.get('pgarch_cluster_active_paths{cluster="new"}')).toBe(0)
})

test.each<[Severity, number]>([
  ['ok', 0],
  ['warning', 1],
  ['critical', 2],
  ['unknown', 3],
])('severity %s is %d, as check exits', (severity, code) => {
  const samples = samplesOf([cluster('app', { severity })], 1)
  expect(samples.get('pgarch_cluster_severity{cluster="app"}')).toBe(code)
})

const fleet = [
  cluster('a'),
  cluster('b', { severity: 'warning' }),
  cluster('c', { severity: 'critical' }),
  cluster('d', { severity: 'unknown' }),
]

test('a fleet of no more clusters than are told has series for each', () => {
  const samples = samplesOf(fleet, 4)
  expect(withSeries(samples)).toEqual(['a', 'b', 'c', 'd'])
  expect(samples.get('pgarch_clusters_untold')).toBe(0)
})

test('a larger one has series for those that need attention, and of these for the worst', () => {
  const three = samplesOf(fleet, 3)
  expect(withSeries(three)).toEqual(['c', 'd', 'b'])
  expect(three.get('pgarch_clusters_untold')).toBe(0)
  const two = samplesOf(fleet, 2)
  expect(withSeries(two)).toEqual(['c', 'd'])
  expect(two.get('pgarch_clusters_untold')).toBe(1)
})

test('ten thousand clusters, all in trouble, are as many series as a hundred', () => {
  const clusters = Array.from({ length: 10_000 }, (_, number) =>
    cluster(`c${number}`, { severity: 'critical' }),
  )
  const samples = samplesOf(clusters, 100)
  expect(samples.size).toBe(samplesOf(clusters.slice(0, 100), 100).size)
  expect(samples.get('pgarch_clusters_untold')).toBe(9_900)
})
