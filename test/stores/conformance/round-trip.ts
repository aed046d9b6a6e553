import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { storedName } from '../../../src/stores/stored-file.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample, sample, segment } from '../samples.ts'

/** What is put comes out again, whole, and can be read without pgarch. */
export function roundTrip(on: Bench): void {
  describe('round trip', () => {
    const MiB = 1024 * 1024
    test.each([
      ['0 bytes', () => sample(Buffer.alloc(0))],
      ['1 byte', () => sample(Buffer.from([7]))],
      ['16 MiB that do not compress', () => randomSample(16 * MiB)],
      ['16 MiB of zeros', () => sample(Buffer.alloc(16 * MiB))],
      ['64 MiB that do not compress', () => randomSample(64 * MiB)],
      ['64 MiB of zeros', () => sample(Buffer.alloc(64 * MiB))],
      ['a history file', () => randomSample(42, '00000002.history')],
      ['a backup file', () => randomSample(340, `${segment}.00000028.backup`)],
      ['a partial segment', () => randomSample(MiB, `${segment}.partial`)],
    ])('%s', async (_, make) => {
      const from = make()
      const file = storedName(fingerprint, from.digest.walName)
      const result = await on.put(from)
      expect(result).toEqual({ outcome: 'stored', storedBytes: statSync(on.stored(file)).size })
      expect(await on.store.get(file, on.destination)).toEqual(from.digest)
      expect(readFileSync(on.destination).equals(from.bytes)).toBe(true)
      expect(readdirSync(dirname(on.stored(file)))).toHaveLength(
        file.endsWith('history.zst') ? 1 : 1,
      )
      await rm(on.destination)
    })

    test('the fetched file has the mode that the umask leaves', async () => {
      await on.put(randomSample(10))
      const before = process.umask(0o027)
      try {
        await on.store.get(name, on.destination)
      } finally {
        process.umask(before)
      }
      expect(statSync(on.destination).mode & 0o777).toBe(0o640)
    })

    test('a destination that exists is left alone', async () => {
      await on.put(randomSample(10))
      writeFileSync(on.destination, 'mine')
      await expect(on.store.get(name, on.destination)).rejects.toEqual(
        failure('unusable', /already exists/),
      )
      expect(readFileSync(on.destination, 'utf8')).toBe('mine')
    })

    test('zstd and tail read the stored file without pgarch', async () => {
      const from = randomSample(3_000_000)
      await on.put(from)
      const unpacked = execFileSync('zstd', ['-dc', on.stored()], { maxBuffer: 2 ** 26 })
      expect(unpacked.equals(from.bytes)).toBe(true)
      const withChecksum = 4 // of the Frame_Header_Descriptor, RFC 8878, section 3.1.1.1.1
      expect((readFileSync(on.stored())[4] as number) & withChecksum).toBe(withChecksum)
      const trailer = execFileSync('tail', ['-c', '504', on.stored()], { encoding: 'utf8' })
      expect(JSON.parse(trailer)).toEqual({
        pgarch: 1,
        name: segment,
        size: from.digest.size,
        sha256: from.digest.sha256,
        system_identifier: from.digest.systemIdentifier,
        crc32: expect.stringMatching(/^[0-9a-f]{8}$/),
      })
    })
  })
}
