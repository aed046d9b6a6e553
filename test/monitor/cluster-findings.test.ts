import { describe, expect, test } from 'vitest'
import { assess } from '../../src/monitor/assessed.ts'
import { checkCluster, clusterFindings } from '../../src/monitor/cluster-findings.ts'
import { worstOf } from '../../src/monitor/finding.ts'
import type { ClusterStatus, MemberStatus, RoutePath } from '../../src/schedule/status.ts'
import { wellCluster } from './well.ts'

const now = Date.UTC(2026, 0, 31)
const hour = 3600
const day = 24 * hour
const ago = (seconds: number) => new Date(now - seconds * 1000)

const berlin: RoutePath = {
  path: 'berlin',
  priority: 1,
  active: true,
  failures: 0,
  lastFailureTime: null,
  lastError: null,
}
const host: MemberStatus = {
  host: 'one',
  enrolled: ago(30 * day),
  lastSeen: ago(5),
  lateTime: null,
  lateSeconds: null,
}
const well: ClusterStatus = {
  ...wellCluster,
  fingerprint: 'f',
  name: 'app',
  createTime: ago(30 * day),
  route: [berlin],
  lastWalName: '000000010000000000000003',
  lastArchivedTime: ago(30),
  archiveTimeoutSeconds: null,
  members: [host],
  asOf: ago(0),
}
const shipping = {
  host: 'one',
  path: 'berlin',
  timeline: 1,
  shippedLsn: '0/4000000',
  flushLsn: '0/4000100',
  caughtUpTime: ago(61),
  toldTime: ago(1),
  ended: false,
}
const failing = { failures: 2, lastFailureTime: ago(9), lastError: 'path "berlin": no space' }

type Case = [string, Partial<ClusterStatus>, string, string?]

test.each<Case>([
  ['all is well', {}, 'ok'],
  ['a conflict', { openConflicts: 1 }, 'critical', '1 conflict'],
  [
    'a stop',
    { switch: 'stop', switchAuthor: 'me', switchReason: 'load' },
    'critical',
    'stopped, WAL is dropped (me: load)',
  ],
  ['a pause', { switch: 'pause' }, 'warning', 'paused'],
  ['no route', { activePaths: 0 }, 'critical', 'no active path'],
  ['all fails', failing, 'critical', '2 failed tries: path "berlin": no space'],
  [
    'all fails, which is not told again of each path',
    { ...failing, route: [{ ...berlin, ...failing }] },
    'critical',
    '2 failed tries: path "berlin": no space',
  ],
  [
    'all fails, and a local archive takes it',
    { ...failing, localFiles: 2, localTime: ago(9 + 300) },
    'warning',
  ],
  [
    'all fails, and a local archive that took files takes no more',
    { ...failing, localFiles: 2, localTime: ago(9 + 301) },
    'critical',
  ],
  ['a local archive', { localFiles: 1 }, 'warning', '1 file only in a local archive'],
  [
    'a path fails, and another takes the files',
    {
      route: [
        { ...berlin, ...failing },
        { ...berlin, path: 'madrid' },
      ],
      activePaths: 2,
    },
    'ok',
  ],
  [
    'in brief, where paths that take files are left out',
    { route: [{ ...berlin, ...failing }], activePaths: 2 },
    'ok',
  ],
  [
    'a path fails, and the one that took the files is no longer active',
    {
      route: [
        { ...berlin, ...failing },
        { ...berlin, path: 'madrid', active: false },
      ],
    },
    'warning',
    expect.stringMatching(/^could not use path "berlin", last at .*: no space$/),
  ],
  [
    'all paths failed in turn, and took files between',
    {
      route: ['berlin', 'madrid'].map((path) => ({ ...berlin, ...failing, path, lastError: 'x' })),
      activePaths: 2,
    },
    'warning',
  ],
  [
    'it failed long ago',
    { route: [{ ...berlin, ...failing, lastFailureTime: ago(2 * day) }] },
    'ok',
  ],
  ['it is disabled', { route: [{ ...berlin, ...failing, active: false }, berlin] }, 'ok'],
  [
    'files are lost',
    { lostFiles: 2, lostTime: ago(6 * day) },
    'warning',
    '2 files only on a lost path or host',
  ],
  [
    'more files are lost than were counted',
    { lostFiles: 1000, lostFilesAreCounted: false, lostTime: ago(6 * day) },
    'warning',
    '1000 or more files only on a lost path or host',
  ],
  ['they were declared lost long ago', { lostFiles: 2, lostTime: ago(8 * day) }, 'ok'],
  ['WAL was dropped', { droppedFiles: 1, lastDropTime: ago(day) }, 'warning', '1 file was dropped'],
  ['it was dropped long ago', { droppedFiles: 1, lastDropTime: ago(8 * day) }, 'ok'],
  ['shipping is behind', { shipping }, 'warning', 'shipping is 256 bytes behind'],
  ['it is so for a moment', { shipping: { ...shipping, caughtUpTime: ago(59) } }, 'ok'],
  ['its shipper has ended by itself', { shipping: { ...shipping, ended: true } }, 'ok'],
  ['all is shipped', { shipping: { ...shipping, flushLsn: '0/4000000' } }, 'ok'],
  ['no host may archive', { hosts: 0, hostsSeen: 0 }, 'warning', 'no host may archive for it'],
  ['no host was ever seen', { hostsSeen: 0 }, 'warning', 'none of its hosts was ever seen'],
  [
    'it was registered just now',
    { hostsSeen: 0, createTime: ago(60), lastArchivedTime: null },
    'ok',
  ],
  ['a standby was never seen', { members: [host, { ...host, lastSeen: null }] }, 'ok'],
  [
    'a journal is late',
    { members: [{ ...host, lateTime: ago(60), lateSeconds: 3 * hour }] },
    'warning',
    expect.stringMatching(/^host "one" told at .* what had waited in its journal for 3 h$/),
  ],
  ['it was late', { members: [{ ...host, lateTime: ago(hour), lateSeconds: 3 * hour }] }, 'ok'],
  [
    'the last file is older than archive_timeout allows',
    { archiveTimeoutSeconds: 60, lastArchivedTime: ago(361) },
    'warning',
    'the last file was archived 6 min ago',
  ],
  ['it is somewhat older', { archiveTimeoutSeconds: 60, lastArchivedTime: ago(359) }, 'ok'],
  ['three long timeouts', { archiveTimeoutSeconds: hour, lastArchivedTime: ago(3 * hour) }, 'ok'],
  ['no archive_timeout is set', { archiveTimeoutSeconds: 0, lastArchivedTime: ago(9 * day) }, 'ok'],
  [
    'it is paused, which has a finding of its own',
    { switch: 'pause', archiveTimeoutSeconds: 60, lastArchivedTime: ago(hour) },
    'warning',
    'paused',
  ],
  [
    'nothing was archived yet',
    { createTime: ago(2 * hour), lastArchivedTime: null, lastWalName: null },
    'warning',
    'nothing was archived since it was registered, 2 h ago',
  ],
  [
    'it is retired, and that alone',
    { active: false, switch: 'stop', openConflicts: 3, activePaths: 0 },
    'warning',
    'retired, its pushes are refused',
  ],
  [
    'it is retired, and grows old',
    { active: false, archiveTimeoutSeconds: 60, lastArchivedTime: ago(9 * day) },
    'warning',
    'retired, its pushes are refused',
  ],
])('%s', (_, changes, severity, text) => {
  const findings = clusterFindings({ ...well, ...changes })
  expect(worstOf(findings)).toBe(severity)
  const wrong = findings.filter((found) => found.severity !== 'ok')
  if (text !== undefined) expect(wrong.map((found) => found.text)).toEqual([text])
  expect(findings.every(({ about }) => about === 'cluster "app"')).toBe(true)
})

describe('a cluster in trouble', () => {
  test('what is worst comes first', () => {
    const { severity, concerns } = assess({ ...well, localFiles: 1, openConflicts: 2 })
    expect({ severity, concerns }).toEqual({
      severity: 'critical',
      concerns: ['2 conflicts', '1 file only in a local archive'],
    })
  })

  test('its measures are what was counted', () => {
    const { measures } = checkCluster({ ...well, ...failing, openConflicts: 3, localFiles: 4 })
    expect(measures.map(({ name, value, unit }) => [name, value, unit])).toEqual([
      ['last_file_age', 30, 's'],
      ['failures', 2, ''],
      ['conflicts', 3, ''],
      ['local_files', 4, ''],
    ])
  })
})
