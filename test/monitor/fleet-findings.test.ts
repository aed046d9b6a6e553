import { describe, expect, test } from 'vitest'
import { checkDatabase, databaseFindings } from '../../src/monitor/database-findings.ts'
import { worstFirst, worstOf } from '../../src/monitor/finding.ts'
import { checkFleet } from '../../src/monitor/fleet-findings.ts'
import { pluginResult } from '../../src/monitor/plugin.ts'
import type { DatabaseHealth, PathHealth } from '../../src/schedule/health.ts'
import type { ClusterStatus } from '../../src/schedule/status.ts'

const now = new Date(Date.UTC(2026, 0, 31))
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)

const database: DatabaseHealth = {
  serverVersion: 150_018,
  schemaVersion: 8,
  size: 10_000_000,
  connections: 10,
  connectionLimit: 100,
  missingPartitions: [],
  hasStrayLog: false,
  oldestTransaction: null,
  seesAll: true,
  replayLag: null,
  standbys: 0,
  standbyLag: null,
  asOf: now,
}

function cluster(name: string, changes: Partial<ClusterStatus> = {}): ClusterStatus {
  const route = { path: 'berlin', priority: 1, active: true, failures: 0, lastFailureTime: null }
  const member = {
    host: 'h',
    enrolled: ago(9),
    lastSeen: ago(1),
    lateTime: null,
    lateSeconds: null,
  }
  const status: Partial<ClusterStatus> = {
    ...{ name, active: true, switch: 'start', createTime: ago(99_999), asOf: now },
    ...{ route: [{ ...route, lastError: null }], members: [member], shipping: null },
    ...{ lastWalName: '000000010000000000000001', lastArchivedTime: ago(10) },
    ...{ archiveTimeoutSeconds: 60, failures: 0, openConflicts: 0, localFiles: 0 },
    localTime: null,
    ...{ droppedFiles: 0, lostFiles: 0, activePaths: 1, hosts: 1, hostsSeen: 1 },
    ...changes,
  }
  return status as ClusterStatus
}

function path(name: string, changes: Partial<PathHealth> = {}): PathHealth {
  return {
    ...{ id: 1, name, kind: 'sftp', active: true, lostTime: null, clusters: 2, asOf: now },
    ...{ files: 1, storedBytes: 1, capacityBytes: null, reserveBytes: 0, failingClusters: 0 },
    ...{ lastStoredTime: ago(5), lastFailureTime: null, lastError: null },
    ...{ probeTime: null, probeError: null, freeBytes: null, sizeBytes: null },
    ...{ spaceTime: null, storedSince: null },
    ...changes,
  }
}

const none = new Set<string>()

const tell = (checked: ReturnType<typeof checkFleet>) =>
  pluginResult(checked, { warning: new Map(), critical: new Map() }, { verbose: false })

describe('a fleet', () => {
  test('all is well: what it is, and how old the oldest last file is', () => {
    const clusters = [cluster('a'), cluster('b', { lastArchivedTime: ago(40) }), cluster('c')]
    const { severity, lines } = tell(checkFleet({ clusters, paths: [path('p')], database }, none))
    expect(severity).toBe('ok')
    expect(lines).toEqual([
      'PGARCH OK: 3 clusters and 1 path; oldest last file: cluster "b", 40 s ago | ' +
        'last_file_age=40s;;;0 clusters=3;;;0 clusters_critical=0;;;0 clusters_warning=0;;;0 ' +
        'conflicts=0;;;0 local_files=0;;;0 paths_failing=0;;;0 connections=10%;80;95;0 ' +
        'oldest_transaction=0s;3600;;0',
    ])
  })

  test('everything that is wrong is told, worst first, and counted', () => {
    const failed = { failures: 1, lastFailureTime: ago(3), lastError: 'no space' }
    const clusters = [
      cluster('local', { localFiles: 2 }),
      cluster('old', { lastArchivedTime: ago(4000) }),
      cluster('split', { openConflicts: 3 }),
      // That is the path's finding.
      cluster('other', {
        route: [{ path: 'p', priority: 1, active: true, ...failed }],
        activePaths: 2,
      }),
    ]
    const paths = [
      path('p', { ...failed, failingClusters: 1, freeBytes: 20, sizeBytes: 100 }),
      path('q', { freeBytes: 60, sizeBytes: 100 }),
    ]
    const unwell = { ...database, oldestTransaction: 7200 }
    const checked = checkFleet({ clusters, paths, database: unwell }, none)
    const { severity, lines } = tell(checked)
    expect(severity).toBe('critical')
    expect(lines.filter((line) => !line.startsWith('HINT')).slice(1)).toEqual([
      'CRITICAL: cluster "split": 3 conflicts',
      expect.stringMatching(/^CRITICAL: path "p": cannot be used, as of .*: no space$/),
      'WARNING: cluster "local": 2 files only in a local archive',
      'WARNING: cluster "old": the last file was archived 66 min ago',
      'WARNING: scheduling database: a transaction is open for 2 h',
    ])
    const value = (name: string) => checked.measures.find((one) => one.name === name)?.value
    expect(
      ['last_file_age', 'clusters_critical', 'clusters_warning', 'conflicts'].map(value),
    ).toEqual([4000, 1, 2, 3])
    expect(['local_files', 'paths_failing', 'used'].map(value)).toEqual([2, 1, 80])
  })

  test('a range that somebody set is asked of the worst one alone', () => {
    const clusters = [cluster('a', { lastArchivedTime: ago(4000) }), cluster('b')]
    const checked = checkFleet({ clusters, paths: [], database }, new Set(['last_file_age']))
    expect(worstOf(checked.findings)).toBe('ok')
    expect(checked.measures[0]).toMatchObject({ name: 'last_file_age', value: 4000 })
    expect(checked.measures[0]).not.toHaveProperty('warning')
    const full = [path('p', { freeBytes: 1, sizeBytes: 100 }), path('q')]
    const used = (own: string[]) =>
      worstOf(
        checkFleet({ clusters: [cluster('a')], paths: full, database }, new Set(own)).findings,
      )
    expect([used([]), used(['used'])]).toEqual(['critical', 'ok'])
  })

  test('of the paths that take files the fullest is told', () => {
    const room = { freeBytes: 1, sizeBytes: 1000 }
    const paths = [path('p', { ...room, freeBytes: 0, active: false }), path('q', room)]
    const used = checkFleet({ clusters: [], paths, database }, none).measures.find(
      ({ name }) => name === 'used',
    )
    expect(used).toMatchObject({ value: 99.9, text: 'path "q" is the fullest, 99 % used' })
  })

  test('without clusters it is the wrong database, or an empty one', () => {
    const checked = checkFleet({ clusters: [], paths: [], database }, none)
    expect(tell(checked).lines[0]).toMatch(
      /^PGARCH UNKNOWN: no cluster is registered \| clusters=0/,
    )
  })
})

test.each<[string, Partial<DatabaseHealth>, string, string?]>([
  ['all is well', {}, 'ok'],
  ['nearly all connections are in use', { connections: 81 }, 'warning'],
  ['all are', { connections: 96 }, 'critical', '96 of 100 connections are in use'],
  [
    'the log has stray rows',
    { hasStrayLog: true, missingPartitions: ['2026_02'] },
    'warning',
    'the log has rows in its default partition, and no partition arch_remote_log_2026_02',
  ],
  ['nobody logs in a month', { missingPartitions: ['2026_01', '2026_02'] }, 'ok'],
  ['a transaction never ends', { oldestTransaction: 3601 }, 'warning'],
  ['one is long', { oldestTransaction: 3599 }, 'ok'],
  ['a standby is asked that is behind', { replayLag: 301 }, 'warning'],
  ['a standby is asked', { replayLag: 1 }, 'ok'],
  [
    'a standby is asked that was never told anything',
    { replayLag: Number.NaN },
    'unknown',
    'how far this standby is behind its primary cannot be told',
  ],
  ['a standby is behind', { standbys: 1, standbyLag: 301 }, 'warning', 'a standby is 5 min behind'],
  ['it cannot be seen', { seesAll: false, standbys: null }, 'ok'],
])('the scheduling database: %s', (_, changes, severity, text) => {
  const findings = databaseFindings({ ...database, ...changes })
  expect(worstOf(findings)).toBe(severity)
  if (text !== undefined) expect(worstFirst(findings)[0]?.text).toBe(text)
})

test.each<[string, Partial<DatabaseHealth>, string, number | undefined]>([
  ['no transaction is open', {}, 'oldest_transaction', 0],
  ['they cannot be seen', { seesAll: false, standbys: null }, 'oldest_transaction', undefined],
  ['a standby waits for more', { standbys: 1 }, 'standby_lag', 0],
  ['there is no standby', { standbys: 0 }, 'standby_lag', undefined],
  ['standbys cannot be seen', { seesAll: false, standbys: null }, 'standby_lag', undefined],
  ['a primary is asked', {}, 'replay_lag', undefined],
])('of the scheduling database: %s', (_, changes, name, value) => {
  const { measures } = checkDatabase({ ...database, ...changes })
  expect(measures.find((one) => one.name === name)?.value).toBe(value)
})

test('what cannot be seen of the scheduling database is said', () => {
  const { findings } = checkDatabase({ ...database, seesAll: false })
  expect(findings.map(({ hint }) => hint)).toContain('Grant pg_monitor to the role that checks.')
})
