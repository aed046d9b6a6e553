/**
 * The names of what PostgreSQL archives (src/include/access/xlog_internal.h). A segment's name holds
 * its timeline, and its number in two halves whose meaning depends on wal_segment_size.
 */
export type WalName = SegmentName | HistoryName | BackupName

export interface SegmentName extends Position {
  /** `partial`: the last segment of a timeline that was left in its middle, `SEGMENT.partial`. */
  readonly kind: 'segment' | 'partial'
}

export interface HistoryName {
  readonly kind: 'history'
  readonly name: string
  readonly timeline: number
}

/** The backup history file of a base backup that began in this segment. */
export interface BackupName extends Position {
  readonly kind: 'backup'
  /** Byte within the segment at which the backup begins. */
  readonly offset: number
}

interface Position {
  readonly name: string
  /** 1 to 0xFFFFFFFF */
  readonly timeline: number
  /** Second group of eight digits. */
  readonly log: number
  /** Third group of eight digits: the segment within its log. */
  readonly segment: number
}

const pattern =
  /^([0-9A-F]{8})(?:\.(history)|([0-9A-F]{8})([0-9A-F]{8})(?:\.(partial)|\.([0-9A-F]{8})\.backup)?)$/

/** Undefined for every name that no PostgreSQL server writes; hex digits are upper case only. */
export function parseWalName(name: string): WalName | undefined {
  const match = pattern.exec(name)
  if (match === null) return undefined
  const timeline = fromHex(match[1])
  if (timeline === 0) return undefined
  if (match[2] !== undefined) return { kind: 'history', name, timeline }
  const position = { name, timeline, log: fromHex(match[3]), segment: fromHex(match[4]) }
  if (match[6] !== undefined) return { kind: 'backup', ...position, offset: fromHex(match[6]) }
  return { kind: match[5] === undefined ? 'segment' : 'partial', ...position }
}

/** Sizes that initdb --wal-segsize can make: powers of two from 1 MB to 1 GB, in bytes. */
export function isWalSegmentSize(size: number): boolean {
  return Number.isInteger(size) && size >= 2 ** 20 && size <= 2 ** 30 && (size & (size - 1)) === 0
}

/**
 * The how-manieth segment of the WAL it is, from 0; the first that a server ever writes is 1.
 * Undefined when there is no such name with this wal_segment_size.
 */
export function segmentNumber(name: Position, walSegmentSize: number): number | undefined {
  const perLog = segmentsPerLog(walSegmentSize)
  return name.segment < perLog ? name.log * perLog + name.segment : undefined
}

/** The LSN of the segment's first byte. */
export function segmentStart(segmentNumber: number, walSegmentSize: number): bigint {
  return BigInt(segmentNumber) * BigInt(walSegmentSize)
}

export function segmentName(
  timeline: number,
  segmentNumber: number,
  walSegmentSize: number,
): string {
  const perLog = segmentsPerLog(walSegmentSize)
  return [timeline, Math.floor(segmentNumber / perLog), segmentNumber % perLog].map(toHex).join('')
}

/** The segment after it on the same timeline; undefined for no name of this size, and for the last. */
export function nextSegmentName(name: Position, walSegmentSize: number): string | undefined {
  const number = segmentNumber(name, walSegmentSize)
  const count = segmentsPerLog(walSegmentSize) * 2 ** 32
  if (number === undefined || number + 1 >= count) return undefined
  return segmentName(name.timeline, number + 1, walSegmentSize)
}

export function historyName(timeline: number): string {
  return `${toHex(timeline)}.history`
}

/** A log is 4 GB of WAL, whatever the segments' size. */
function segmentsPerLog(walSegmentSize: number): number {
  return 2 ** 32 / walSegmentSize
}

function fromHex(digits: string | undefined): number {
  return Number.parseInt(digits ?? '', 16)
}

function toHex(half: number): string {
  return half.toString(16).toUpperCase().padStart(8, '0')
}
