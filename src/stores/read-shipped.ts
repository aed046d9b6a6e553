import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { PgarchError } from '../errors.ts'
import { isWalSegmentSize } from '../wal/names.ts'
import {
  encodeHeader,
  encodings,
  frameHeaderSize,
  headerSize,
  largestFrame,
  type Sought,
  sha256,
} from './shipped-file.ts'

const decompress = promisify(zstdDecompress)

/** What a shipped file was found to hold. */
export interface ShippedContent {
  /** Bytes; null: the file has no header yet. */
  readonly walSegmentSize: number | null
  /** Bytes of the segment, from its start, that are whole. */
  readonly valid: number
  /** Bytes of the file behind them, which are not: of an append that did not come to its end. */
  readonly cut: number
}

/**
 * Gives the segment's bytes to `write`, in order, as far as they are whole: up to the first frame that is
 * not what its digest says. Rejects with `damaged` when the file is not this shipment's.
 */
export async function readShipped(
  stored: AsyncIterable<Uint8Array>,
  sought: Sought,
  write: (wal: Uint8Array) => Promise<void>,
): Promise<ShippedContent> {
  const source = openSource(stored)
  const start = await source.take(headerSize)
  // Whoever began it died before any of it was durable.
  if (start === undefined || start.every((byte) => byte === 0)) {
    return { walSegmentSize: null, valid: 0, cut: await source.rest() }
  }
  const walSegmentSize = sought.walSegmentSize ?? segmentSizeOf(start)
  if (!start.equals(encodeHeader({ ...sought, walSegmentSize }))) {
    throw new PgarchError(
      'damaged',
      `shipped file "${sought.segment}.${sought.id}.shipped" is damaged: its header is another's`,
    )
  }
  source.settle()
  let previous = sha256(start)
  let valid = 0
  for (;;) {
    const frame = await takeFrame(source, valid, walSegmentSize)
    const digest = frame && sha256(previous, frame.fields, frame.payload)
    const wal = frame && digest?.equals(frame.digest) ? await decodePayload(frame) : undefined
    if (frame === undefined || digest === undefined || wal?.length !== frame.length) {
      return { walSegmentSize, valid, cut: await source.rest() }
    }
    await write(wal)
    valid += wal.length
    previous = digest
    source.settle()
  }
}

interface Frame {
  readonly fields: Buffer
  readonly digest: Buffer
  readonly payload: Buffer
  readonly length: number
  readonly encoding: number
}

/** Undefined when what comes next is no whole frame of the segment's bytes at `offset`. */
async function takeFrame(
  source: Source,
  offset: number,
  walSegmentSize: number,
): Promise<Frame | undefined> {
  const head = await source.take(frameHeaderSize)
  if (head === undefined) return undefined
  const [at, length = 0, stored = 0, encoding = 0] = [0, 4, 8, 12].map((one) =>
    head.readUInt32LE(one),
  )
  const fits = length > 0 && length <= largestFrame && offset + length <= walSegmentSize
  if (at !== offset || !fits || stored === 0 || stored > length) return undefined
  const payload = await source.take(stored)
  if (payload === undefined) return undefined
  const [fields, digest] = [head.subarray(0, 16), head.subarray(16)]
  return { fields, digest, payload, length, encoding }
}

/** Undefined for what no pgarch of this version wrote. */
async function decodePayload({ payload, length, encoding }: Frame): Promise<Buffer | undefined> {
  if (encoding === encodings.raw) return payload
  if (encoding !== encodings.zstd) return undefined
  return await decompress(payload, { maxOutputLength: length }).catch(() => undefined)
}

/** Bytes that come in chunks, to be taken in pieces. */
interface Source {
  /** Undefined when fewer are left. */
  take(count: number): Promise<Buffer | undefined>
  /** What was taken so far was whole. */
  settle(): void
  /** Reads to the end; resolves to the number of bytes since the last `settle`. */
  rest(): Promise<number>
}

function openSource(stored: AsyncIterable<Uint8Array>): Source {
  const chunks = stored[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  let unsettled = 0

  async function more(): Promise<boolean> {
    const { done, value } = await chunks.next()
    if (done === true) return false
    held = held.length === 0 ? Buffer.from(value) : Buffer.concat([held, value])
    return true
  }

  return {
    async take(count) {
      while (held.length < count) if (!(await more())) return undefined
      const taken = held.subarray(0, count)
      held = held.subarray(count)
      unsettled += count
      return taken
    },
    settle() {
      unsettled = 0
    },
    async rest() {
      for (;;) {
        unsettled += held.length
        held = Buffer.alloc(0)
        if (!(await more())) return unsettled
      }
    },
  }
}

/** As the header says; 0 when it says nothing. */
function segmentSizeOf(start: Buffer): number {
  const size = Number(/"segment_size":(\d+)/.exec(start.toString('latin1'))?.[1])
  return isWalSegmentSize(size) ? size : 0
}
