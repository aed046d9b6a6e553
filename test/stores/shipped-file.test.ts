import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readShipped } from '../../src/stores/read-shipped.ts'
import {
  frameHeaderSize,
  headerSize,
  largestFrame,
  openFrames,
  parseShippedName,
  type Shipment,
  shippedName,
} from '../../src/stores/shipped-file.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { parseWalName } from '../../src/wal/names.ts'
import { temporaryFolder } from '../support/folder.ts'
import { checkout } from '../support/installation.ts'
import { findProgram } from '../support/parts.ts'
import { failure } from './bench.ts'
import { fingerprint, segment } from './samples.ts'

const shipment: Shipment = {
  fingerprint,
  systemIdentifier: '7239458234598234598',
  segment,
  walSegmentSize: 16 * 1024 * 1024,
  id: '0123456789abcdef',
}

/** WAL that compresses, as a server's does. */
function wal(length: number): Buffer {
  return Buffer.alloc(length, randomBytes(64))
}

async function fileOf(pieces: readonly Buffer[], of = shipment): Promise<Buffer> {
  const frames = openFrames(of, 1)
  const parts = [frames.start]
  for (const piece of pieces) parts.push(await frames.next(piece))
  return Buffer.concat(parts)
}

async function read(file: Buffer, of: Parameters<typeof readShipped>[1] = shipment, step = 777) {
  const parts: Uint8Array[] = []
  const content = await readShipped(inSteps(file, step), of, async (bytes) => {
    parts.push(Buffer.from(bytes))
  })
  return { ...content, wal: Buffer.concat(parts) }
}

async function* inSteps(file: Buffer, step: number) {
  for (let at = 0; at < file.length; at += step) yield file.subarray(at, at + step)
}

describe('a shipped file', () => {
  test('gives back what was appended, small and large, in whatever chunks it is read', async () => {
    const pieces = [1, 40, 4095, 4096, 100_000, largestFrame].map(wal)
    const whole = Buffer.concat(pieces)
    const file = await fileOf(pieces)
    expect(file.length).toBeLessThan(whole.length / 2)
    for (const step of [100, 777, file.length]) {
      const { wal: bytes, ...content } = await read(file, shipment, step)
      expect(content).toEqual({
        walSegmentSize: shipment.walSegmentSize,
        valid: whole.length,
        cut: 0,
      })
      expect(bytes.equals(whole)).toBe(true)
    }
  })

  test.skipIf(!findProgram('python3') || !findProgram('zstd'))(
    'docs/shipped-file.md reads it without pgarch',
    async () => {
      const pieces = [wal(100), wal(50_000), wal(7)]
      const script = /<<'END'\n(.*?)\n {4}END/s.exec(
        readFileSync(join(checkout, 'docs/shipped-file.md'), 'utf8'),
      )?.[1]
      const folder = temporaryFolder('shipped')
      onTestFinished(() => folder.remove())
      const [file, segment] = [join(folder.path, 'file'), join(folder.path, 'segment')]
      const torn = Buffer.concat([await fileOf(pieces), randomBytes(1000)])
      writeFileSync(file, torn)
      const input = script?.replaceAll(/^ {4}/gm, '') ?? ''
      const said = execFileSync('python3', ['-', file, segment], { input, encoding: 'utf8' })
      expect(said).toBe('50107 bytes are valid\n')
      const whole = Buffer.concat([...pieces, Buffer.alloc(shipment.walSegmentSize - 50_107)])
      expect(readFileSync(segment).equals(whole)).toBe(true)
    },
  )

  test('what does not compress is stored as it is', async () => {
    const noise = randomBytes(10_000)
    const file = await fileOf([noise])
    expect(file.subarray(headerSize + frameHeaderSize).equals(noise)).toBe(true)
  })

  test('is what docs/shipped-file.md says', async () => {
    const pieces = [wal(100), wal(5000)]
    const file = await fileOf(pieces)
    expect(JSON.parse(file.toString('utf8', 0, headerSize))).toEqual({
      pgarch_shipped: 1,
      cluster: fingerprint,
      system_identifier: '7239458234598234598',
      timeline: 1,
      segment,
      segment_size: 16_777_216,
      id: '0123456789abcdef',
      start: 0,
      crc32: expect.stringMatching(/^[0-9a-f]{8}$/),
    })
    expect(file[headerSize - 1]).toBe(10)
    const sha256 = (...parts: Buffer[]) =>
      createHash('sha256').update(Buffer.concat(parts)).digest()
    const second = headerSize + frameHeaderSize + 100
    expect([0, 4, 8, 12].map((at) => file.readUInt32LE(headerSize + at))).toEqual([0, 100, 100, 0])
    expect([0, 4, 12].map((at) => file.readUInt32LE(second + at))).toEqual([100, 5000, 1])
    const frame = (at: number, length: number) => ({
      fields: file.subarray(at, at + 16),
      digest: file.subarray(at + 16, at + 48),
      payload: file.subarray(at + 48, at + 48 + length),
    })
    const one = frame(headerSize, 100)
    const other = frame(second, file.readUInt32LE(second + 8))
    const begin = sha256(file.subarray(0, headerSize))
    expect(one.digest).toEqual(sha256(begin, one.fields, one.payload))
    expect(other.digest).toEqual(sha256(one.digest, other.fields, other.payload))
    expect(zstdDecompressSync(other.payload).equals(pieces[1] as Buffer)).toBe(true)
  })

  test('torn at every byte: just the whole frames count', async () => {
    const pieces = [50, 4200, 30].map(wal)
    const file = await fileOf(pieces)
    const ends = [headerSize]
    for (const [index] of pieces.entries()) {
      ends.push((await fileOf(pieces.slice(0, index + 1))).length)
    }
    for (let length = 0; length <= file.length; length++) {
      const whole = Math.max(
        ends.findLastIndex((end) => end <= length),
        0,
      )
      const expected = Buffer.concat(pieces.slice(0, whole))
      const { wal: bytes, valid, cut } = await read(file.subarray(0, length))
      expect({ length, valid }).toEqual({ length, valid: expected.length })
      expect(bytes.equals(expected)).toBe(true)
      expect(cut).toBe(length - (length < headerSize ? 0 : (ends[whole] ?? 0)))
    }
  })

  test('spoilt at every byte of a frame: it, and what is behind, counts no more', async () => {
    const pieces = [50, 4200, 30].map(wal)
    const file = await fileOf(pieces)
    const start = (await fileOf(pieces.slice(0, 1))).length
    for (let at = start; at < file.length; at++) {
      const spoilt = Buffer.from(file)
      spoilt[at] = (spoilt[at] ?? 0) ^ 0x40
      const { valid } = await read(spoilt)
      expect([50, 4250]).toContain(valid)
    }
  })

  test('a frame from another place, or another file, is none of this one', async () => {
    const [first, second] = [wal(100), wal(100)]
    const file = await fileOf([first, second])
    const frame = (of: Buffer, number: number) =>
      of.subarray(headerSize + number * (frameHeaderSize + 100)).subarray(0, frameHeaderSize + 100)
    const start = file.subarray(0, headerSize)
    expect(await read(Buffer.concat([start, frame(file, 1)]))).toMatchObject({ valid: 0 })
    const repeated = Buffer.concat([start, frame(file, 0), frame(file, 0)])
    expect(await read(repeated)).toMatchObject({ valid: 100 })
    const other = await fileOf([first, second], { ...shipment, id: 'fedcba9876543210' })
    const mixed = Buffer.concat([start, frame(file, 0), frame(other, 1)])
    expect(await read(mixed)).toMatchObject({ valid: 100, cut: frameHeaderSize + 100 })
  })

  test('a frame that says it belongs elsewhere counts no more, though its digest is right', async () => {
    const file = await fileOf([wal(100), wal(100)])
    const at = headerSize + frameHeaderSize + 100
    file.writeUInt32LE(99, at)
    const [fields, payload] = [file.subarray(at, at + 16), file.subarray(at + 48)]
    const before = file.subarray(headerSize + 16, headerSize + 48)
    createHash('sha256')
      .update(before)
      .update(fields)
      .update(payload)
      .digest()
      .copy(file, at + 16)
    expect(await read(file)).toMatchObject({ valid: 100 })
  })

  test('never holds more than a segment', async () => {
    const small = { ...shipment, walSegmentSize: 1024 * 1024 }
    const file = await fileOf([wal(1024 * 1024), wal(1)], small)
    expect(await read(file, small)).toMatchObject({ valid: 1024 * 1024, cut: frameHeaderSize + 1 })
  })

  test('the header must be of the file that was asked for', async () => {
    const file = await fileOf([wal(100)])
    const others: Partial<Shipment>[] = [
      { id: 'fedcba9876543210' },
      { systemIdentifier: '1' },
      { segment: '000000020000000A0000002F' },
      { fingerprint: '1c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11' },
      { walSegmentSize: 1024 * 1024 },
    ]
    for (const other of others) {
      await expect(read(file, { ...shipment, ...other })).rejects.toEqual(
        failure('damaged', /header/),
      )
    }
    expect(await read(file, { ...shipment, walSegmentSize: null })).toMatchObject({
      walSegmentSize: 16 * 1024 * 1024,
      valid: 100,
    })
    expect(await read(Buffer.alloc(4096))).toMatchObject({ valid: 0, walSegmentSize: null })
    const spoilt = Buffer.from(file)
    spoilt[100] = 0
    await expect(read(spoilt)).rejects.toEqual(failure('damaged', /header/))
  })

  test('its name is neither a segment nor a stored file', () => {
    const name = shippedName(shipment)
    expect(name).toBe(`${fingerprint}/000000010000000A/${segment}.0123456789abcdef.shipped`)
    expect(parseShippedName(name)).toEqual({ segment, id: shipment.id })
    expect(parseWalName(name.slice(name.lastIndexOf('/') + 1))).toBeUndefined()
    for (const no of [
      storedName(fingerprint, segment),
      `${segment}.shipped`,
      `${segment}.partial.0123456789abcdef.shipped`,
      `${segment.toLowerCase()}.0123456789abcdef.shipped`,
      `x${segment}.0123456789abcdef.shipped`,
    ]) {
      expect(parseShippedName(no)).toBeUndefined()
    }
  })
})
