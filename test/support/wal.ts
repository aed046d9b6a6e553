import { createCipheriv } from 'node:crypto'

/** Fields of the long page header of a made segment, each to be spoilt by a test. */
export interface MadeHeader {
  readonly magic: number
  readonly info: number
  readonly timeline: number
  readonly pageAddress: bigint
  readonly systemIdentifier: string
  readonly walSegmentSize: number
  readonly blockSize: number
}

/**
 * A WAL segment as a server of PostgreSQL 15 would begin it; behind the header there is no WAL.
 *
 * `fill` 0 (the default) leaves zeros there, as after pg_switch_wal(); any other whole number gives
 * incompressible bytes, the same for the same number. `header` spoils what a test wants spoilt.
 */
export function makeSegment(options: {
  readonly timeline?: number
  readonly segno: number
  readonly walSegmentSize: number
  readonly systemIdentifier: string
  readonly fill?: number
  readonly header?: Partial<MadeHeader>
}): Buffer {
  const { timeline = 1, segno, walSegmentSize, systemIdentifier, fill = 0 } = options
  const header: MadeHeader = {
    magic: 0xd110,
    info: 0x0002,
    timeline,
    pageAddress: BigInt(segno) * BigInt(walSegmentSize),
    systemIdentifier,
    walSegmentSize,
    blockSize: 8192,
    ...options.header,
  }
  const segment = fill === 0 ? Buffer.alloc(walSegmentSize) : noise(walSegmentSize, fill)
  segment.fill(0, 0, 40)
  segment.writeUInt16LE(header.magic, 0)
  segment.writeUInt16LE(header.info, 2)
  segment.writeUInt32LE(header.timeline, 4)
  segment.writeBigUInt64LE(header.pageAddress, 8)
  segment.writeBigUInt64LE(BigInt(header.systemIdentifier), 24)
  segment.writeUInt32LE(header.walSegmentSize, 32)
  segment.writeUInt32LE(header.blockSize, 36)
  return segment
}

/** A timeline history file, laid out as writeTimeLineHistory does: `[[1, '0/3000000']]`. */
export function makeHistory(entries: readonly (readonly [number, string])[]): Buffer {
  const lines = entries.map(
    ([timeline, lsn]) => `${timeline}\t${lsn}\tno recovery target specified\n`,
  )
  return Buffer.from(lines.join('\n'))
}

/** A backup history file for a backup that began at `lsn`, in the segment of that name. */
export function makeBackupHistory(segment: string, lsn: string): Buffer {
  return Buffer.from(
    [
      `START WAL LOCATION: ${lsn} (file ${segment})`,
      `STOP WAL LOCATION: ${lsn} (file ${segment})`,
      `CHECKPOINT LOCATION: ${lsn}`,
      'BACKUP METHOD: streamed',
      'BACKUP FROM: primary',
      'START TIME: 2024-01-01 00:00:00 UTC',
      'LABEL: made for a test',
      'START TIMELINE: 1',
      'STOP TIME: 2024-01-01 00:00:01 UTC',
      'STOP TIMELINE: 1',
      '',
    ].join('\n'),
  )
}

function noise(size: number, seed: number): Buffer {
  const key = Buffer.alloc(16)
  key.writeDoubleLE(seed)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}
