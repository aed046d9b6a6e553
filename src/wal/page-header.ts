import { PgarchError } from '../errors.ts'
import { formatLsn } from './lsn.ts'
import { isWalSegmentSize, type SegmentName, segmentNumber, segmentStart } from './names.ts'

/** Bytes of XLogLongPageHeaderData, with which every segment begins. */
export const longHeaderSize = 40

/** XLogLongPageHeaderData (xlog_internal.h), little endian as on every machine that pgarch runs on. */
export interface LongHeader {
  readonly magic: number
  readonly info: number
  readonly timeline: number
  /** The LSN of the page's first byte. */
  readonly pageAddress: bigint
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  readonly walSegmentSize: number
  readonly blockSize: number
}

/** XLP_LONG_HEADER: the fields after the page's address are there. */
const longHeaderFlag = 0x0002
/** XLP_ALL_FLAGS; XLP_FIRST_IS_OVERWRITE_CONTRECORD came in minor releases of 12 and 13 too. */
const allFlags = 0x000f

/** XLOG_PAGE_MAGIC of PostgreSQL 12 to 18. */
const knownMagics = [0xd101, 0xd106, 0xd10d, 0xd110, 0xd113, 0xd116, 0xd118]

/** Needs the first `longHeaderSize` bytes of a segment; says nothing about whether they make sense. */
export function parseLongHeader(page: Buffer): LongHeader {
  return {
    magic: page.readUInt16LE(0),
    info: page.readUInt16LE(2),
    timeline: page.readUInt32LE(4),
    pageAddress: page.readBigUInt64LE(8),
    systemIdentifier: page.readBigUInt64LE(24).toString(),
    walSegmentSize: page.readUInt32LE(32),
    blockSize: page.readUInt32LE(36),
  }
}

/** A long header of some PostgreSQL that we can read, of whatever cluster and segment. */
export function isLongHeader(header: LongHeader): boolean {
  return (
    isMagic(header.magic) &&
    (header.info & ~allFlags) === 0 &&
    (header.info & longHeaderFlag) !== 0 &&
    isWalSegmentSize(header.walSegmentSize) &&
    isBlockSize(header.blockSize)
  )
}

/**
 * Every released server has its own magic number, and numbers between two releases are development
 * versions, which are refused. A number above the newest known one is a release that came after
 * pgarch: it passes, because a refusal would fill up pg_wal, because the long header has kept its
 * layout since PostgreSQL 9.3, and because the checks after this one are what tells files apart.
 */
function isMagic(magic: number): boolean {
  return knownMagics.includes(magic) || (magic > Math.max(...knownMagics) && magic <= 0xd1ff)
}

/** configure --with-wal-blocksize: powers of two from 1 kB to 64 kB. */
function isBlockSize(size: number): boolean {
  return size >= 2 ** 10 && size <= 2 ** 16 && (size & (size - 1)) === 0
}

/**
 * Makes sure that a file is the segment, or partial segment, that its name says, of this cluster.
 * Only its first page can be judged: behind the last record anything may follow, and a page in the
 * middle may be all zero. The order is that of XLogReaderValidatePageHeader.
 *
 * @param firstPage at least the first `longHeaderSize` bytes
 * @param expected `size` is the file's, in bytes; `walSegmentSize` and `systemIdentifier` the cluster's
 * @throws PgarchError `refused`
 */
export function checkSegmentHeader(
  firstPage: Buffer,
  expected: {
    readonly name: SegmentName
    readonly size: number
    readonly walSegmentSize: number
    readonly systemIdentifier: string
  },
): void {
  const { name, size, walSegmentSize, systemIdentifier } = expected
  const refusal = (reason: string, hint?: string) =>
    new PgarchError('refused', `WAL segment ${name.name} ${reason}`, hint ? { hint } : {})

  const number = segmentNumber(name, walSegmentSize)
  if (number === undefined) {
    throw refusal(`cannot exist with a wal_segment_size of ${walSegmentSize} bytes`)
  }
  if (size !== walSegmentSize) {
    throw refusal(
      `has wrong size ${size}, expected ${walSegmentSize}`,
      'A complete segment has exactly wal_segment_size bytes; this one is truncated, or of a ' +
        'cluster with another wal_segment_size.',
    )
  }
  if (firstPage.length < longHeaderSize) {
    throw refusal(`has no page header: only ${firstPage.length} bytes could be read`)
  }

  const header = parseLongHeader(firstPage)
  if (!isMagic(header.magic)) {
    throw refusal(
      `has invalid magic number ${hex(header.magic)}`,
      header.magic === 0
        ? 'The file begins with zeros: it was allocated, but never written.'
        : 'The file is not WAL, is encrypted, or is of a PostgreSQL version older than 12.',
    )
  }
  if ((header.info & ~allFlags) !== 0) throw refusal(`has invalid info bits ${hex(header.info)}`)
  if ((header.info & longHeaderFlag) === 0) {
    throw refusal(`does not begin with a long page header: info bits are ${hex(header.info)}`)
  }
  if (header.systemIdentifier !== systemIdentifier) {
    throw refusal(
      `is from a different cluster: its system identifier is ${header.systemIdentifier}, ` +
        `expected ${systemIdentifier}`,
      "Another cluster's WAL is never mixed into this one's.",
    )
  }
  if (header.walSegmentSize !== walSegmentSize) {
    throw refusal(`says that segments have ${header.walSegmentSize} bytes, not ${walSegmentSize}`)
  }
  if (!isBlockSize(header.blockSize)) throw refusal(`has invalid block size ${header.blockSize}`)
  const start = segmentStart(number, walSegmentSize)
  if (header.pageAddress !== start) {
    throw refusal(
      `has unexpected page address ${formatLsn(header.pageAddress)}, expected ${formatLsn(start)}`,
      'The file holds the contents of another segment: it was recycled for future use and not ' +
        'written since, or was renamed.',
    )
  }
  // A timeline's first segment is copied from its parent, so its pages may carry a lower timeline.
  if (header.timeline < 1 || header.timeline > name.timeline) {
    throw refusal(`has out-of-sequence timeline ${header.timeline}, expected 1 to ${name.timeline}`)
  }
}

function hex(word: number): string {
  return word.toString(16).toUpperCase().padStart(4, '0')
}
