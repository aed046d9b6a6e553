import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { crc32, zstdCompress } from 'node:zlib'
import { parseWalName } from '../wal/names.ts'
import { zstdParameters } from './compress.ts'

/** docs/shipped-file.md promises the form: a change of it is a new version. */
const version = 1

/** Bytes of the header, with which the file begins. */
export const headerSize = 512
/** Bytes before each frame's payload. */
export const frameHeaderSize = 48
/** WAL in one frame at most, in bytes. */
export const largestFrame = 1024 * 1024
/** What is smaller is stored as it is: zstd would win little. */
const leastCompressed = 4096

/** How a frame's payload holds its WAL. */
export const encodings = { raw: 0, zstd: 1 } as const

/** Whose WAL a shipped file holds. */
export interface Shipment {
  /** uuid */
  readonly fingerprint: string
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** The segment's name, timeline included. */
  readonly segment: string
  /** Bytes. */
  readonly walSegmentSize: number
  /** 16 lower-case hex digits, of the file's own name: no other file ever has them. */
  readonly id: string
}

/** A shipment that is looked for; `walSegmentSize` is null where nobody says, and the file is believed. */
export type Sought = Omit<Shipment, 'walSegmentSize'> & { readonly walSegmentSize: number | null }

/** `<fingerprint>/<first 16 digits>/<segment>.<id>.shipped`, relative to the path's root. */
export function shippedName({ fingerprint, segment, id }: Omit<Sought, 'walSegmentSize'>): string {
  return `${shippedDirectory(fingerprint, segment)}/${segment}.${id}.shipped`
}

/** Where the shipped files of a segment lie, beside the archived ones. */
export function shippedDirectory(fingerprint: string, segment: string): string {
  return `${fingerprint}/${segment.slice(0, 16)}`
}

/** Undefined for a name, with or without directories, that no shipped file has. */
export function parseShippedName(name: string): { segment: string; id: string } | undefined {
  const match = /(?:^|\/)([0-9A-F]{24})\.([0-9a-f]{16})\.shipped$/.exec(name)
  const [, segment = '', id = ''] = match ?? []
  return parseWalName(segment)?.kind === 'segment' ? { segment, id } : undefined
}

/** A shipped file in the making: `start` comes first, then every frame in its turn. */
export interface Frames {
  readonly start: Buffer
  /**
   * The frame of the segment's next bytes, `largestFrame` at most, which are not written to meanwhile. One
   * call at a time.
   */
  next(wal: Uint8Array): Promise<Buffer>
}

const compress = promisify(zstdCompress)

/** @param level of zstd, 1 to 19 */
export function openFrames(shipment: Shipment, level: number): Frames {
  const start = encodeHeader(shipment)
  let previous = sha256(start)
  let offset = 0
  return {
    start,
    async next(wal) {
      const [encoding, payload] = await encodePayload(wal, level)
      const fields = Buffer.alloc(16)
      for (const [index, field] of [offset, wal.length, payload.length, encoding].entries()) {
        fields.writeUInt32LE(field, 4 * index)
      }
      previous = sha256(previous, fields, payload)
      offset += wal.length
      return Buffer.concat([fields, previous, payload])
    },
  }
}

async function encodePayload(wal: Uint8Array, level: number): Promise<[number, Uint8Array]> {
  if (wal.length < leastCompressed) return [encodings.raw, wal]
  const compressed = await compress(wal, { params: zstdParameters(level) })
  return compressed.length < wal.length ? [encodings.zstd, compressed] : [encodings.raw, wal]
}

/** JSON, then spaces, then a line feed: `head -c 512` shows it. The CRC is of the JSON before its key. */
export function encodeHeader(shipment: Shipment): Buffer {
  const { fingerprint, systemIdentifier, segment, walSegmentSize, id } = shipment
  const fields = {
    pgarch_shipped: version,
    cluster: fingerprint,
    system_identifier: systemIdentifier,
    timeline: parseWalName(segment)?.timeline,
    segment,
    segment_size: walSegmentSize,
    id,
    start: 0,
  }
  const text = JSON.stringify(fields).slice(0, -1)
  const crc = crc32(text).toString(16).padStart(8, '0')
  return Buffer.from(`${`${text},"crc32":"${crc}"}`.padEnd(headerSize - 1)}\n`)
}

/** Of all parts, one after another. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
