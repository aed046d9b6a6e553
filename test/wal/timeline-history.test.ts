import { describe, expect, test } from 'vitest'
import { parseTimelineHistory } from '../../src/wal/timeline-history.ts'
import { makeHistory } from '../support/wal.ts'

const first = { timeline: 1, switchPoint: 0x300_0000n }
const second = { timeline: 2, switchPoint: (1n << 32n) | 0x28n }

test('as a server writes it after two promotions', () => {
  const history = makeHistory([
    [1, '0/3000000'],
    [2, '1/28'],
  ])
  expect(parseTimelineHistory(history.toString(), 3)).toEqual([first, second])
})

describe('what PostgreSQL reads too', () => {
  test.each([
    ['comments and blank lines', '# by hand\n\n \t\n1\t0/3000000\t\n\n  # more\n2\t1/28\twhy\n', 3],
    ['no newline at the end', '1\t0/3000000\n2\t1/28', 3],
    ['spaces for tabs', ' 1 0/3000000 before 2024-01-01\n2  1/28\n', 3],
    ['carriage returns', '1\t0/3000000\r\n2\t1/28\r\n', 3],
    ['a gap before its own timeline', '1\t0/3000000\n2\t1/28\n', 0xffff_ffff],
  ])('%s', (_, text, timeline) => {
    expect(parseTimelineHistory(text, timeline)).toEqual([first, second])
  })
})

describe('refused', () => {
  test.each([
    ['empty', '', 2, /names no parent timeline/],
    ['comments alone', '# nothing\n', 2, /names no parent timeline/],
    ['no number', 'one\t0/3000000\n', 2, /syntax error in history file 00000002.history: "one/],
    ['no switch point', '1\n', 2, /syntax error/],
    ['a switch point cut off', '1\t0/', 2, /syntax error/],
    ['a switch point of too many digits', '1\t0/100000000\n', 2, /syntax error/],
    ['timelines that go back', '2\t0/3000000\n1\t0/4000000\n', 3, /invalid data .*: "1\\t0/],
    ['a timeline twice', '1\t0/3000000\n1\t0/4000000\n', 3, /invalid data/],
    ['timeline 0', '0\t0/3000000\n', 2, /invalid data/],
    ['its own timeline as parent', '1\t0/3000000\n2\t1/28\n', 2, /invalid data/],
    ['a later timeline as parent', '3\t0/3000000\n', 2, /invalid data/],
    ['a history of timeline 1', '1\t0/3000000\n', 1, /invalid data/],
    ['a segment', `\xd1\x10${'\0'.repeat(2 ** 20)}`, 2, /^.{0,500}$/],
  ])('%s', (_, text, timeline, message) => {
    expect(() => parseTimelineHistory(text, timeline)).toThrow(
      expect.objectContaining({ failure: 'refused', message: expect.stringMatching(message) }),
    )
  })
})
