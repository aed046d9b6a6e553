import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { storedName } from '../../../src/stores/stored-file.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample } from '../samples.ts'

/** Bytes that do not verify never come out, and are never taken for an archived file. */
export function damage(on: Bench): void {
  describe('damaged stored bytes never come out', () => {
    const flip = (at: (bytes: Buffer) => number) => (bytes: Buffer) => {
      const position = at(bytes)
      bytes[position] = (bytes[position] as number) ^ 1
      return bytes
    }
    const behind = (text: string) => (bytes: Buffer) => bytes.indexOf(text, -512) + text.length
    test.each<[string, (bytes: Buffer) => Buffer]>([
      ['empty', () => Buffer.alloc(0)],
      ['cut within the trailer', (bytes) => bytes.subarray(0, -1)],
      ['cut before the trailer', (bytes) => bytes.subarray(0, -512)],
      ['cut in a frame', (bytes) => bytes.subarray(0, 1_000_000)],
      ['without its last frame', (bytes) => cutFrame(bytes)],
      ['the trailer alone', (bytes) => bytes.subarray(-512)],
      ['longer', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
      ['a bit flipped in the first frame header', flip(() => 4)],
      ['a bit flipped in a frame', flip(() => 700_000)],
      ['a bit flipped at the end of the last frame', flip((bytes) => bytes.length - 513)],
      ['a bit flipped in the magic number', flip((bytes) => bytes.length - 512)],
      ['a bit flipped in the name', flip(behind('"name":"'))],
      ['a bit flipped in the size', flip(behind('"size":'))],
      ['a bit flipped in the sha256', flip(behind('"sha256":"'))],
      ['a bit flipped in the system identifier', flip(behind('"system_identifier":"'))],
      ['a bit flipped in the padding', flip((bytes) => bytes.length - 20)],
      ['zeros', (bytes) => Buffer.alloc(bytes.length)],
    ])('%s', async (_, spoil) => {
      const from = randomSample(2_500_000)
      await on.put(from)
      const spoilt = spoil(readFileSync(on.stored()))
      writeFileSync(on.stored(), spoilt)
      const damaged = failure('damaged', /site-a.*is damaged/)
      await expect(on.store.get(name, on.destination)).rejects.toEqual(damaged)
      expect(existsSync(on.destination)).toBe(false)
      await expect(on.put(from)).rejects.toEqual(damaged)
      expect(readFileSync(on.stored()).equals(spoilt)).toBe(true)
    })

    test("another file's content, or its trailer", async () => {
      const other = randomSample(2_500_000, '00000002.history')
      await on.put(other)
      await on.put(randomSample(2_500_000))
      const otherBytes = readFileSync(on.stored(storedName(fingerprint, '00000002.history')))
      writeFileSync(on.stored(), otherBytes)
      await expect(on.store.get(name, on.destination)).rejects.toEqual(
        failure('damaged', /has the trailer of "00000002.history"/),
      )
      await rm(on.stored())
      await on.put(randomSample(2_500_000))
      const mine = readFileSync(on.stored())
      writeFileSync(on.stored(), Buffer.concat([otherBytes.subarray(0, -512), mine.subarray(-512)]))
      await expect(on.store.get(name, on.destination)).rejects.toEqual(
        failure('damaged', /does not hold what its trailer says/),
      )
    })
  })
}

/** Before the last frame: zstd's magic number, 0xFD2FB528, starts each. */
function cutFrame(bytes: Buffer): Buffer {
  const last = bytes.lastIndexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  return Buffer.concat([bytes.subarray(0, last), bytes.subarray(-512)])
}
