import { expect, it } from 'vitest'
import { fullnessOf, type PathFigures } from '../../src/report/outlook.ts'
import { wellPath } from '../monitor/well.ts'

const now = new Date('2026-11-21T12:00:00Z')
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000)

/** 100 of 1000 bytes are used, and 10 come each day. */
const usual: PathFigures = {
  ...wellPath,
  clusters: 1,
  files: 1,
  storedBytes: 100,
  capacityBytes: 1000,
  reserveBytes: 50,
  lastStoredTime: null,
  asOf: now,
  archivedFiles: 0,
  failures: 0,
  growth: { days: 30, bytes: 300 },
}
const probe = { probeTime: now, spaceTime: now, freeBytes: 250, sizeBytes: 2000, storedSince: 0 }

it.each<[string, Partial<PathFigures>, object]>([
  ['by its declared capacity', {}, { state: 'fills', days: 90, date: '2027-02-19' }],
  [
    'by the space of its file system, but for the reserve, where that is less',
    probe,
    { state: 'fills', days: 20, date: '2026-12-11' },
  ],
  [
    'by the file system alone',
    { ...probe, capacityBytes: null },
    { state: 'fills', days: 20, date: '2026-12-11' },
  ],
  [
    'what came since it told counts',
    { ...probe, spaceTime: hoursAgo(48), storedSince: 20 },
    { state: 'fills', days: 18, date: '2026-12-09' },
  ],
  [
    'what it told more than 30 days ago says nothing, though somebody looked since in vain',
    { ...probe, spaceTime: hoursAgo(24 * 31), capacityBytes: null },
    { state: 'unknown', reason: 'no-capacity' },
  ],
  [
    'nor does a probe that was told no sizes',
    { probeTime: now, capacityBytes: null },
    { state: 'unknown', reason: 'no-capacity' },
  ],
  [
    'today, when there is room for less than a day',
    { storedBytes: 995 },
    { state: 'fills', days: 0, date: '2026-11-22' },
  ],
  ['more than declared', { storedBytes: 1001 }, { state: 'full' }],
  ['only the reserve is left', { ...probe, freeBytes: 50 }, { state: 'full' }],
  [
    'full, however little is known of its growth',
    { storedBytes: 1000, growth: { days: 0, bytes: 0 } },
    { state: 'full' },
  ],
  ['no growth', { growth: { days: 30, bytes: 0 } }, { state: 'steady' }],
  ['hardly any growth', { growth: { days: 30, bytes: 7 } }, { state: 'steady' }],
  [
    'less than three whole days',
    { growth: { days: 2, bytes: 20 } },
    { state: 'unknown', reason: 'few-days' },
  ],
  ['three whole days', { growth: { days: 3, bytes: 30 } }, { state: 'fills', days: 90 }],
  ['more is removed than comes', { growth: { days: 30, bytes: -300 } }, { state: 'steady' }],
  ['disabled', { active: false }, { state: 'unknown', reason: 'not-in-use' }],
  ['lost', { lostTime: now }, { state: 'unknown', reason: 'not-in-use' }],
  ['nothing is known', { capacityBytes: null }, { state: 'unknown', reason: 'no-capacity' }],
])('when it will be full: %s', (_, properties, outlook) => {
  expect(fullnessOf({ ...usual, ...properties }).outlook).toMatchObject(outlook)
})

it.each<[string, Partial<PathFigures>, object]>([
  ['of the declared capacity', {}, { capacityBytes: 1000, usedBytes: 100, usedShare: 0.1 }],
  [
    'of that, too, where the file system is known',
    probe,
    { capacityBytes: 1000, usedBytes: 100, usedShare: 0.1 },
  ],
  [
    'of the file system, whoever uses it',
    { ...probe, capacityBytes: null },
    { capacityBytes: 2000, usedBytes: 1750, usedShare: 0.875 },
  ],
  [
    'of nothing that is known',
    { capacityBytes: null },
    { capacityBytes: null, usedBytes: 100, usedShare: null },
  ],
  ['of nothing', { capacityBytes: 0 }, { capacityBytes: 0, usedShare: null }],
])('how full it is: %s', (_, properties, fullness) => {
  expect(fullnessOf({ ...usual, ...properties })).toMatchObject(fullness)
})
