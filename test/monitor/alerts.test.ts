import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/folder.ts'
import { checkout } from '../support/installation.ts'
import { findProgram } from '../support/parts.ts'

/*
 * Each alert fires for what it is about and nothing else does, and not before its time. Beside it all is
 * well, with a cluster, a path and a host of their own. Prometheus' own tool runs the clock, from 1970 on.
 */

const rules = join(checkout, 'examples', 'prometheus', 'pgarch.rules.yml')
const promtool = findProgram('promtool')

/** Values over time, as promtool writes them: what there is at the first minute, and what each adds. */
type Series = Readonly<Record<string, string>>

const minutes = 8 * 60
const constant = (value: number) => `${value}x${minutes}`
const sinceStart = constant(0)
const longAgo = constant(-8 * 86_400)
const always = `0+60x${minutes}`

const host = (more = '') => `{instance="one",data_directory="/data",cluster="app"${more}}`
const wellHost = '{instance="two",data_directory="/data",cluster="other"}'

const well: Series = {
  pgarch_schedule_up: constant(1),
  pgarch_schedule_read_timestamp_seconds: always,
  pgarch_schedule_connections: constant(5),
  pgarch_schedule_connection_limit: constant(97),
  pgarch_schedule_oldest_transaction_seconds: constant(10),
  pgarch_schedule_standby_lag_seconds: constant(1),
  pgarch_schedule_stray_log: constant(0),
  'pgarch_clusters{severity="ok",switch="start"}': constant(1),
  'pgarch_clusters{severity="ok",switch="stop"}': constant(0),
  'pgarch_cluster_severity{cluster="other"}': constant(0),
  'pgarch_cluster_last_archived_timestamp_seconds{cluster="other"}': always,
  'pgarch_cluster_archive_timeout_seconds{cluster="other"}': constant(60),
  'pgarch_cluster_conflicts{cluster="other"}': constant(0),
  'pgarch_cluster_switch{cluster="other",switch="start"}': constant(1),
  'pgarch_cluster_failures{cluster="other"}': constant(0),
  'pgarch_cluster_active_paths{cluster="other"}': constant(2),
  'pgarch_cluster_has_lost_files{cluster="other"}': constant(0),
  'pgarch_cluster_local_files{cluster="other"}': constant(0),
  'pgarch_cluster_shipping_lag_seconds{cluster="other"}': constant(1),
  pgarch_clusters_untold: constant(0),
  'pgarch_path_severity{path="other"}': constant(0),
  'pgarch_path_active{path="other"}': constant(1),
  'pgarch_path_active{path="berlin"}': constant(1),
  'pgarch_path_active{path="madrid"}': constant(1),
  // Nothing is expected of one that takes no files.
  'pgarch_path_active{path="disabled"}': constant(0),
  'pgarch_path_severity{path="disabled"}': constant(0),
  'pgarch_path_failing_clusters{path="disabled"}': constant(1),
  'pgarch_path_free_bytes{path="disabled"}': `90-1x${minutes}`,
  'pgarch_path_size_bytes{path="disabled"}': constant(1000),
  'pgarch_path_file_bytes{path="disabled"}': `950+1x${minutes}`,
  'pgarch_path_capacity_bytes{path="disabled"}': constant(1000),
  'pgarch_path_failing_clusters{path="other"}': constant(0),
  'pgarch_path_free_bytes{path="other"}': constant(500),
  'pgarch_path_size_bytes{path="other"}': constant(1000),
  'pgarch_path_file_bytes{path="other"}': constant(400),
  'pgarch_path_capacity_bytes{path="other"}': constant(900),
  [`pgarch_host_up${wellHost}`]: constant(1),
  'pgarch_host_read_timestamp_seconds{instance="two"}': always,
  [`pgarch_host_ready_oldest_timestamp_seconds${wellHost}`]: always,
  [`pgarch_host_push_failed${wellHost}`]: constant(0),
  [`pgarch_host_switch${wellHost.replace('}', ',switch="start"}')}`]: constant(1),
  [`pgarch_host_journal_oldest_timestamp_seconds${wellHost}`]: always,
  [`pgarch_host_journal_foreign_records${wellHost}`]: constant(0),
  [`pgarch_host_local_files${wellHost}`]: constant(0),
  [`pgarch_host_wal_free_bytes${wellHost}`]: constant(500),
  [`pgarch_host_wal_size_bytes${wellHost}`]: constant(1000),
}

interface Case {
  readonly alert: string
  readonly series: Series
  /** Minutes: it fires then, and not a minute before. */
  readonly after: number
  /** Its own, without name and state. */
  readonly labels: Readonly<Record<string, string>>
}

const critical = { severity: 'critical' }
const warning = { severity: 'warning' }
const app = { cluster: 'app' }
const berlin = { path: 'berlin' }
const one = { instance: 'one', data_directory: '/data', ...app }

const cases: readonly Case[] = [
  {
    alert: 'PgarchScheduleDown',
    series: { pgarch_schedule_up: constant(0) },
    after: 5,
    labels: critical,
  },
  {
    alert: 'PgarchMetricsMissing',
    series: { pgarch_schedule_up: `_x${minutes}` },
    after: 5,
    labels: critical,
  },
  {
    alert: 'PgarchMetricsMissing',
    series: { pgarch_schedule_read_timestamp_seconds: sinceStart },
    after: 21,
    labels: critical,
  },
  {
    alert: 'PgarchNoClusters',
    series: { 'pgarch_clusters{severity="ok",switch="start"}': constant(0) },
    after: 15,
    labels: critical,
  },
  {
    alert: 'PgarchScheduleConnections',
    series: { pgarch_schedule_connections: constant(88) },
    after: 10,
    labels: warning,
  },
  {
    alert: 'PgarchScheduleTransaction',
    series: { pgarch_schedule_oldest_transaction_seconds: '3540+60x20' },
    after: 2,
    labels: warning,
  },
  {
    alert: 'PgarchScheduleStandby',
    series: { pgarch_schedule_standby_lag_seconds: constant(301) },
    after: 5,
    labels: warning,
  },
  {
    alert: 'PgarchScheduleStandby',
    series: { pgarch_schedule_replay_lag_seconds: constant(301) },
    after: 5,
    labels: warning,
  },
  {
    alert: 'PgarchScheduleLog',
    series: { pgarch_schedule_stray_log: constant(1) },
    after: 60,
    labels: warning,
  },
  {
    alert: 'PgarchConflict',
    series: { 'pgarch_cluster_conflicts{cluster="app"}': constant(2) },
    after: 0,
    labels: { ...critical, ...app },
  },
  {
    alert: 'PgarchStopped',
    series: { 'pgarch_cluster_switch{cluster="app",switch="stop"}': constant(1) },
    after: 0,
    labels: { ...critical, ...app, switch: 'stop' },
  },
  {
    alert: 'PgarchPaused',
    series: { 'pgarch_cluster_switch{cluster="app",switch="pause"}': constant(1) },
    after: 60,
    labels: { ...warning, ...app, switch: 'pause' },
  },
  {
    alert: 'PgarchFailing',
    series: {
      'pgarch_cluster_failures{cluster="app"}': constant(3),
      // A local archive took files, and takes no more.
      'pgarch_cluster_last_local_timestamp_seconds{cluster="app"}': constant(0),
      'pgarch_cluster_last_failure_timestamp_seconds{cluster="app"}': constant(301),
    },
    after: 15,
    labels: { ...critical, ...app },
  },
  {
    alert: 'PgarchLate',
    series: {
      'pgarch_cluster_last_archived_timestamp_seconds{cluster="app"}': sinceStart,
      'pgarch_cluster_archive_timeout_seconds{cluster="app"}': constant(100),
      'pgarch_cluster_switch{cluster="app",switch="start"}': constant(1),
      // Nothing is expected of these.
      'pgarch_cluster_last_archived_timestamp_seconds{cluster="off"}': sinceStart,
      'pgarch_cluster_archive_timeout_seconds{cluster="off"}': constant(0),
      'pgarch_cluster_last_archived_timestamp_seconds{cluster="paused"}': sinceStart,
      'pgarch_cluster_archive_timeout_seconds{cluster="paused"}': constant(100),
      'pgarch_cluster_switch{cluster="paused",switch="pause"}': constant(1),
    },
    after: 12,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchNoPath',
    series: { 'pgarch_cluster_active_paths{cluster="app"}': constant(0) },
    after: 5,
    labels: { ...critical, ...app },
  },
  {
    alert: 'PgarchLostFiles',
    series: {
      'pgarch_cluster_has_lost_files{cluster="app"}': constant(1),
      'pgarch_cluster_last_loss_timestamp_seconds{cluster="app"}': sinceStart,
      'pgarch_cluster_has_lost_files{cluster="found"}': constant(0),
      'pgarch_cluster_last_loss_timestamp_seconds{cluster="found"}': sinceStart,
      'pgarch_cluster_has_lost_files{cluster="long ago"}': constant(1),
      'pgarch_cluster_last_loss_timestamp_seconds{cluster="long ago"}': longAgo,
    },
    after: 0,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchDroppedFiles',
    series: {
      'pgarch_cluster_last_drop_timestamp_seconds{cluster="app"}': sinceStart,
      'pgarch_cluster_last_drop_timestamp_seconds{cluster="long ago"}': longAgo,
    },
    after: 0,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchLocalArchive',
    series: {
      'pgarch_cluster_local_files{cluster="app"}': constant(7),
      'pgarch_cluster_failures{cluster="app"}': constant(7),
      'pgarch_cluster_last_local_timestamp_seconds{cluster="app"}': constant(0),
      'pgarch_cluster_last_failure_timestamp_seconds{cluster="app"}': constant(300),
    },
    after: 15,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchShippingBehind',
    series: { 'pgarch_cluster_shipping_lag_seconds{cluster="app"}': constant(61) },
    after: 5,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchClusterAttention',
    series: {
      'pgarch_cluster_severity{cluster="app"}': constant(3),
      // Another alert is about this one, and ever again begins to wait for its time.
      'pgarch_cluster_severity{cluster="up and down"}': constant(1),
      'pgarch_cluster_shipping_lag_seconds{cluster="up and down"}': '61 61 61 61 0 '.repeat(20),
    },
    after: 60,
    labels: { ...warning, ...app },
  },
  {
    alert: 'PgarchClustersUntold',
    series: { pgarch_clusters_untold: constant(1) },
    after: 15,
    labels: critical,
  },
  {
    alert: 'PgarchPathFailing',
    series: { 'pgarch_path_failing_clusters{path="berlin"}': constant(1) },
    after: 15,
    labels: { ...warning, ...berlin },
  },
  {
    alert: 'PgarchPathUnusable',
    series: {
      'pgarch_path_severity{path="berlin"}': constant(2),
      'pgarch_path_severity{path="madrid"}': constant(1),
    },
    after: 5,
    labels: { ...critical, ...berlin },
  },
  {
    alert: 'PgarchPathFull',
    series: {
      'pgarch_path_free_bytes{path="berlin"}': constant(99),
      'pgarch_path_size_bytes{path="berlin"}': constant(1000),
    },
    after: 15,
    labels: { ...warning, ...berlin },
  },
  {
    alert: 'PgarchPathFull',
    series: {
      'pgarch_path_file_bytes{path="berlin"}': constant(901),
      'pgarch_path_capacity_bytes{path="berlin"}': constant(1000),
    },
    after: 15,
    labels: { ...warning, ...berlin },
  },
  {
    alert: 'PgarchPathFillsUp',
    series: {
      'pgarch_path_file_bytes{path="berlin"}': `0+100x${minutes}`,
      'pgarch_path_capacity_bytes{path="berlin"}': constant(1_000_000),
      'pgarch_path_file_bytes{path="madrid"}': `0+10x${minutes}`,
      'pgarch_path_capacity_bytes{path="madrid"}': constant(1_000_000),
    },
    after: 361,
    labels: { ...warning, ...berlin },
  },
  {
    alert: 'PgarchPathFillsUp',
    series: {
      'pgarch_path_free_bytes{path="berlin"}': `900000-100x${minutes}`,
      'pgarch_path_size_bytes{path="berlin"}': constant(1_000_000),
    },
    after: 361,
    labels: { ...warning, ...berlin },
  },
  {
    alert: 'PgarchHostUnreadable',
    series: { [`pgarch_host_up${host()}`]: constant(0) },
    after: 15,
    labels: { ...warning, ...one },
  },
  {
    alert: 'PgarchHostMissing',
    series: { 'pgarch_host_read_timestamp_seconds{instance="one"}': sinceStart },
    after: 21,
    labels: { ...warning, instance: 'one' },
  },
  {
    alert: 'PgarchHostWaiting',
    series: { [`pgarch_host_ready_oldest_timestamp_seconds${host()}`]: sinceStart },
    after: 21,
    labels: { ...critical, ...one },
  },
  {
    alert: 'PgarchHostPushFailed',
    series: {
      [`pgarch_host_push_failed${host()}`]: constant(1),
      [`pgarch_host_switch${host(',switch="start"')}`]: constant(1),
      [`pgarch_host_push_failed${host().replace('/data', '/paused')}`]: constant(1),
      [`pgarch_host_switch${host(',switch="pause"').replace('/data', '/paused')}`]: constant(1),
    },
    after: 5,
    labels: { ...critical, ...one },
  },
  {
    alert: 'PgarchHostJournal',
    series: { [`pgarch_host_journal_oldest_timestamp_seconds${host()}`]: sinceStart },
    after: 21,
    labels: { ...warning, ...one },
  },
  {
    alert: 'PgarchHostForeignJournal',
    series: { [`pgarch_host_journal_foreign_records${host()}`]: constant(1) },
    after: 5,
    labels: { ...warning, ...one },
  },
  {
    alert: 'PgarchHostLocalArchive',
    series: { [`pgarch_host_local_files${host()}`]: constant(1) },
    after: 15,
    labels: { ...warning, ...one },
  },
  {
    alert: 'PgarchHostWalFull',
    series: {
      [`pgarch_host_wal_free_bytes${host()}`]: constant(99),
      [`pgarch_host_wal_size_bytes${host()}`]: constant(1000),
    },
    after: 5,
    labels: { ...critical, ...one },
  },
]

test('every alert has a case', () => {
  const names = [...readFileSync(rules, 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
  expect(new Set(cases.map(({ alert }) => alert))).toEqual(new Set(names))
})

test.skipIf(!promtool)('nothing fires where all is well', () => {
  expect(runRules([testOf({}, [{ minute: minutes - 1, firing: [] }])])).toEqual(passed)
})

test.skipIf(!promtool).each(cases)('$alert fires after $after minutes', (one) => {
  const { alert, series, after, labels } = one
  const firing = { __name__: 'ALERTS', alertname: alert, alertstate: 'firing', ...labels }
  const before = after === 0 ? [] : [{ minute: after - 1, firing: [] }]
  expect(runRules([testOf(series, [...before, { minute: after, firing: [firing] }])])).toEqual(
    passed,
  )
})

const passed = { status: 0, said: expect.stringContaining('SUCCESS') }

interface Moment {
  readonly minute: number
  /** The labels of every alert that fires then. */
  readonly firing: readonly Record<string, string>[]
}

function testOf(series: Series, moments: readonly Moment[]) {
  return {
    interval: '1m',
    input_series: Object.entries({ ...well, ...series }).map(([name, values]) => ({
      series: name,
      values,
    })),
    promql_expr_test: moments.map(({ minute, firing }) => ({
      expr: 'ALERTS{alertstate="firing"}',
      eval_time: `${minute}m`,
      exp_samples: firing.map((labels) => ({ labels: selector(labels), value: 1 })),
    })),
  }
}

function selector({ __name__: name, ...labels }: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return `${name}{${pairs.join(',')}}`
}

/** By `promtool test rules`. */
function runRules(tests: readonly object[]): { status: number | null; said: string } {
  const { path, remove } = temporaryFolder('rules')
  onTestFinished(remove)
  const file = join(path, 'tests.yml')
  writeFileSync(file, JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests }))
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], {
    encoding: 'utf8',
  })
  return { status, said: stdout + stderr }
}
