import { describe, expect, it } from 'vitest'
import { type Histories, segmentsAhead, stretchesAhead } from '../../src/restore/read-ahead.ts'
import { parseWalName, type SegmentName, segmentName } from '../../src/wal/names.ts'
import { parseTimelineHistory } from '../../src/wal/timeline-history.ts'
import { makeHistory } from '../support/wal.ts'

const size = 16 * 1024 * 1024

function segment(timeline: number, number: number): SegmentName {
  const name = parseWalName(segmentName(timeline, number, size))
  if (name?.kind !== 'segment') throw new Error('no segment')
  return name
}

/** `[timeline, [ancestor, switch point]...]` each. */
function histories(...all: [number, ...[number, string][]][]): Histories {
  return new Map(
    all.map(([timeline, ...lines]) => [
      timeline,
      parseTimelineHistory(makeHistory(lines).toString(), timeline),
    ]),
  )
}

/** In short: `TIMELINE/NUMBER`, the names that are tried for one segment joined. */
function ahead(asked: SegmentName, known: Histories, count = 3): string[] {
  const stretches = stretchesAhead(asked, known, size)
  return segmentsAhead(asked, stretches, count, size).map((names) =>
    names.map((name) => `${Number(name.slice(0, 8))}/${parseInt(name.slice(16), 16)}`).join(' '),
  )
}

// The second timeline begins in segment 5, the third in segment 8.
const two: [number, ...[number, string][]] = [2, [1, '0/5800000']]
const three: [number, ...[number, string][]] = [3, [1, '0/5800000'], [2, '0/8000100']]

describe('what recovery asks for next', () => {
  it.each<[string, SegmentName, Histories, string[]]>([
    ['on one timeline', segment(1, 2), histories(), ['1/3', '1/4', '1/5']],
    ['over a switch', segment(1, 3), histories(two), ['1/4', '2/5 1/5', '2/6 1/6']],
    ['on a timeline that has begun', segment(2, 5), histories(two), ['2/6', '2/7', '2/8']],
    ['over two', segment(2, 6), histories(two, three), ['2/7', '3/8 2/8', '3/9 2/9']],
    // The newest history is not that of the target: recovery goes on along the old timeline.
    ['past a switch not taken', segment(1, 6), histories(two), ['1/7', '1/8', '1/9']],
    [
      'in the segment of the switch',
      segment(1, 5),
      histories(two),
      ['2/6 1/6', '2/7 1/7', '2/8 1/8'],
    ],
    ['past the newest switch only', segment(2, 9), histories(two, three), ['2/10', '2/11', '2/12']],
    ['on a timeline that no history has', segment(7, 1), histories(two), ['7/2', '7/3', '7/4']],
  ])('%s', (_title, asked, known, expected) => {
    expect(ahead(asked, known)).toEqual(expected)
  })

  it('crosses the end of a log, and stops at the last segment of all', () => {
    const names = (asked: SegmentName) => segmentsAhead(asked, [{ timeline: 1, begin: 0 }], 2, size)
    expect(names(segment(1, 254))).toEqual([
      ['0000000100000000000000FF'],
      ['000000010000000100000000'],
    ])
    expect(names(segment(1, 2 ** 32 * 256 - 2))).toEqual([['00000001FFFFFFFF000000FF']])
  })
})
