import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { shippedName } from '../../../src/stores/shipped-file.ts'
import { openClaimed } from '../bed.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample, segment } from '../samples.ts'
import { mountSmallDisk } from '../small-disk.ts'

/** Trouble with the disk below the root; needs root, who may mount. */
export function disk(on: Bench): void {
  describe.skipIf(process.getuid?.() !== 0)('a disk of its own', () => {
    test('is full: says so, leaves nothing, and takes what fits', async () => {
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath)
        await on.put(randomSample(10))
        const large = randomSample(16_000_000, `${segment}.partial`)
        await expect(on.put(large)).rejects.toEqual(failure('unusable', /no space left/i))
        expect(readdirSync(dirname(on.stored()))).toEqual([`${segment}.zst`])
        await on.put(randomSample(100_000, `${segment}.partial`))
      } finally {
        await disk.unmount()
      }
    })

    test('is full: a file that grows is not begun, and one that was keeps what it has', async () => {
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath)
        const grows = shippedName({
          fingerprint,
          segment,
          id: '1'.repeat(16),
          systemIdentifier: '1',
        })
        const begun = shippedName({
          fingerprint,
          segment,
          id: '2'.repeat(16),
          systemIdentifier: '1',
        })
        await on.store.append(grows, 0, randomBytes(1000))
        const full = failure('unusable', /no space left/i)
        const large = randomBytes(8_000_000)
        await expect(on.store.append(begun, 0, large)).rejects.toEqual(full)
        await expect(on.store.append(grows, 1000, large)).rejects.toEqual(full)
        expect(readdirSync(dirname(on.stored(grows)))).toEqual([basename(grows)])
      } finally {
        await disk.unmount()
      }
    })

    test('is read-only: takes nothing, gives what it has', async () => {
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath)
        await on.put(randomSample(10))
        await disk.remountReadOnly()
        await expect(on.put(randomSample(10, '00000002.history'))).rejects.toEqual(
          failure('unusable', /read-only file system/i),
        )
        expect(await on.store.get(name, on.destination)).toMatchObject({ walName: segment })
        await expect(on.store.probe()).rejects.toEqual(failure('unusable', /read-only/i))
      } finally {
        await disk.unmount()
      }
    })

    test('is not mounted: nothing is absent, and nothing is written below it', async () => {
      await rm(join(on.rootPath, 'pgarch-path'))
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath)
        await on.put(randomSample(10))
      } finally {
        await disk.unmount()
      }
      const unmounted = failure('unusable', /has no pgarch-path/)
      await expect(on.store.get(name, on.destination)).rejects.toEqual(unmounted)
      await expect(on.put(randomSample(10))).rejects.toEqual(unmounted)
      expect(readdirSync(on.rootPath)).toEqual([])
    })
  })
}
