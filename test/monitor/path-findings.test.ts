import { expect, test } from 'vitest'
import { worstOf } from '../../src/monitor/finding.ts'
import { checkPath, pathFindings } from '../../src/monitor/path-findings.ts'
import type { PathHealth } from '../../src/schedule/health.ts'
import { wellPath } from './well.ts'

const now = Date.UTC(2026, 0, 31)
const ago = (seconds: number) => new Date(now - seconds * 1000)

const well: PathHealth = {
  ...wellPath,
  clusters: 3,
  files: 10,
  storedBytes: 800,
  capacityBytes: null,
  reserveBytes: 50,
  lastStoredTime: ago(20),
  asOf: ago(0),
}
const failed = { lastFailureTime: ago(10), lastError: 'no space', failingClusters: 3 }
const room = {
  ...{ probeTime: ago(100), freeBytes: 500, sizeBytes: 1000 },
  ...{ spaceTime: ago(100), storedSince: 0 },
}

type Case = [string, Partial<PathHealth>, string, unknown?]

test.each<Case>([
  ['all is well', {}, 'ok'],
  ['nothing was ever stored', { lastStoredTime: null }, 'ok'],
  [
    'the last try failed',
    failed,
    'critical',
    expect.stringMatching(/^cannot be used, as of .*: no space$/),
  ],
  [
    'the last try failed a day ago',
    { ...failed, lastStoredTime: null, lastFailureTime: ago(86_401) },
    'warning',
    expect.stringMatching(/^could not be used at .*, and nobody has tried since: no space$/),
  ],
  [
    'it failed nearly a day ago',
    { ...failed, lastStoredTime: null, lastFailureTime: ago(86_399) },
    'critical',
  ],
  [
    'somebody found it wrong a day ago',
    { lastStoredTime: null, probeTime: ago(86_401), probeError: 'gone' },
    'warning',
  ],
  ['the first try failed', { ...failed, lastStoredTime: null }, 'critical'],
  ['a file was stored since', { ...failed, lastStoredTime: ago(9), failingClusters: 0 }, 'ok'],
  [
    'a file of another cluster was stored since',
    { ...failed, lastStoredTime: ago(9), failingClusters: 1 },
    'warning',
    '1 of 3 clusters cannot use it: no space',
  ],
  [
    'files of clusters that no longer have it in their route were stored since',
    { ...failed, lastStoredTime: ago(9), failingClusters: 1, clusters: 1 },
    'warning',
    '1 cluster cannot use it: no space',
  ],
  ['somebody found it fit since', { ...failed, probeTime: ago(9), failingClusters: 0 }, 'ok'],
  ['it failed after somebody found it fit', { ...failed, probeTime: ago(11) }, 'critical'],
  [
    'somebody found it wrong',
    { probeTime: ago(19), probeError: 'it is another path' },
    'critical',
    expect.stringMatching(/^cannot be used, as of .*: it is another path$/),
  ],
  ['a file was stored after that', { probeTime: ago(21), probeError: 'gone' }, 'ok'],
  ['it failed, and was disabled', { ...failed, active: false }, 'ok'],
  [
    'a disabled one is found wrong',
    { active: false, probeTime: ago(1), probeError: 'x' },
    'critical',
  ],
  ['it is full, and was disabled', { ...room, freeBytes: 1, active: false }, 'ok'],
  ['it is lost', { ...failed, ...room, freeBytes: 1, lostTime: ago(1) }, 'ok'],
  ['there is room', room, 'ok'],
  ['it fills', { ...room, freeBytes: 99 }, 'warning', expect.stringContaining('99 bytes of 1000')],
  [
    'it is full',
    { ...room, freeBytes: 49 },
    'critical',
    expect.stringMatching(/^49 bytes are free, less than its reserve of 50 bytes/),
  ],
  [
    'it filled since somebody looked',
    { ...room, storedSince: 401 },
    'warning',
    expect.stringMatching(/; 99 bytes of 1000 bytes are free, .*, and by what was stored since$/),
  ],
  ['more was stored than there was room', { ...room, storedSince: 501 }, 'critical'],
  ['what it is to hold fills', { ...room, capacityBytes: 850 }, 'warning'],
  ['what it is to hold is reached', { capacityBytes: 800 }, 'critical'],
])('%s', (_, changes, severity, text) => {
  const findings = pathFindings({ ...well, ...changes })
  expect(worstOf(findings)).toBe(severity)
  const wrong = findings.filter((found) => found.severity !== 'ok')
  if (text !== undefined) expect(wrong[0]?.text).toEqual(text)
})

test('how full it is, where somebody knows', () => {
  const used = (changes: Partial<PathHealth>) =>
    checkPath({ ...well, ...changes }).measures.find(({ name }) => name === 'used')?.value
  expect(used({})).toBeUndefined()
  expect(used({ freeBytes: 500 })).toBeUndefined()
  expect(used(room)).toBe(50)
  expect(used({ ...room, storedSince: 100 })).toBe(60)
  expect(used({ ...room, storedSince: -600 })).toBe(0)
  expect(used({ ...room, capacityBytes: 1000 })).toBe(80)
  expect(used({ ...room, freeBytes: 100, capacityBytes: 1000 })).toBe(90)
})
