import { expect, it } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import { describePosition, type StandbyPosition } from '../../src/restore/standby-position.ts'

const segment = '000000010000000000000003'
const time = new Date('2026-11-21T14:00:00Z')
const exact = { lsn: 0x3000100n, isExact: true, time }
const restartpoint = { lsn: 0x2000028n, isExact: false, time: null }
const last = { walName: '000000010000000000000005', time }
const archived = { clusterName: 'app', last, archived: 2, missing: 0, firstMissing: null }
const upTo5 =
  'archived   up to 000000010000000000000005, of 2026-11-21T14:00:00.000Z, of cluster "app"'
const upTo3 = `replayed   up to 0/3000100, in segment ${segment}; last transaction of 2026-11-21T14:00:00.000Z`

const table: [string, StandbyPosition, string[]][] = [
  [
    'all is known',
    { replayed: exact, segment, archived },
    [upTo5, upTo3, 'to apply   2 segments after that one', 'missing    nothing between'],
  ],
  [
    'one is missing',
    {
      replayed: exact,
      segment,
      archived: { ...archived, archived: 1, missing: 1, firstMissing: '000000010000000000000004' },
    },
    [
      upTo5,
      upTo3,
      'to apply   1 segment after that one',
      'missing    1 segment, the first 000000010000000000000004: recovery cannot go past it',
    ],
  ],
  [
    'the scheduling database is down, and the server too',
    { replayed: restartpoint, segment, archived: new PgarchError('unreachable', 'no answer') },
    [
      'archived   not known: no answer',
      `replayed   at least up to 0/2000028, the last restartpoint; it was given segments up to ${segment}`,
      'missing    not known',
    ],
  ],
  [
    'nobody knows how large segments are',
    {
      replayed: restartpoint,
      segment: null,
      archived: { ...archived, archived: null, missing: null },
    },
    [upTo5, 'replayed   at least up to 0/2000028, the last restartpoint', 'missing    not known'],
  ],
  [
    'nothing is archived',
    { replayed: exact, segment, archived: { ...archived, last: null, archived: null } },
    ['archived   nothing of cluster "app"', upTo3],
  ],
]

it.each(table)('where a standby stands: %s', (_title, position, lines) => {
  expect(describePosition(position)).toEqual(lines)
})
