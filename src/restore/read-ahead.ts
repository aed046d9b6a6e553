import {
  nextSegmentName,
  parseWalName,
  type SegmentName,
  segmentName,
  segmentNumber,
} from '../wal/names.ts'
import type { TimelineHistoryEntry } from '../wal/timeline-history.ts'

/** A timeline on recovery's way. */
export interface Stretch {
  readonly timeline: number
  /** Number of the segment in which it begins. */
  readonly begin: number
}

/** The histories that a server has, by their timelines. */
export type Histories = ReadonlyMap<number, readonly TimelineHistoryEntry[]>

/**
 * The timelines along which recovery goes on after it asked for a segment, the newest first: those of
 * the newest history that leads through that segment. A server knows none but its target's and those
 * on the way to it; but an older one may lie about, and without any that fits it is the segment's alone.
 */
export function stretchesAhead(
  asked: SegmentName,
  histories: Histories,
  walSegmentSize: number,
): readonly Stretch[] {
  const number = segmentNumber(asked, walSegmentSize) ?? 0
  for (const [timeline, history] of [...histories].sort(([one], [other]) => other - one)) {
    const stretches = stretchesOf(timeline, history, walSegmentSize)
    const leadsThrough = stretches.some((one) => one.timeline === asked.timeline)
    const isPast = stretches.some((one) => one.timeline > asked.timeline && one.begin < number)
    if (leadsThrough && !isPast) return stretches.filter((one) => one.timeline >= asked.timeline)
  }
  return [{ timeline: asked.timeline, begin: 0 }]
}

function stretchesOf(
  timeline: number,
  history: readonly TimelineHistoryEntry[],
  walSegmentSize: number,
): Stretch[] {
  const begins = history.map(({ switchPoint }) => Number(switchPoint / BigInt(walSegmentSize)))
  const timelines = [...history.map((entry) => entry.timeline), timeline]
  return timelines.map((one, index) => ({ timeline: one, begin: begins[index - 1] ?? 0 })).reverse()
}

/**
 * What recovery will ask for next, for each segment's number the names in the order in which it tries
 * them (XLogFileReadAnyTLI, xlogrecovery.c): the newest timeline that has begun by then comes first.
 */
export function segmentsAhead(
  asked: SegmentName,
  stretches: readonly Stretch[],
  count: number,
  walSegmentSize: number,
): readonly (readonly string[])[] {
  const ahead: string[][] = []
  for (let last: SegmentName = asked; ahead.length < count; ) {
    const next = nextSegment(last, walSegmentSize)
    if (next === undefined) break
    const number = segmentNumber(next, walSegmentSize) ?? 0
    const begun = stretches.filter(({ begin }) => begin <= number)
    ahead.push(begun.map(({ timeline }) => segmentName(timeline, number, walSegmentSize)))
    last = next
  }
  return ahead
}

function nextSegment(name: SegmentName, walSegmentSize: number): SegmentName | undefined {
  const next = parseWalName(nextSegmentName(name, walSegmentSize) ?? '')
  return next?.kind === 'segment' ? next : undefined
}
