import { readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openClaimed } from '../bed.ts'
import { type Bench, failure, name } from '../bench.ts'
import { randomSample, segment } from '../samples.ts'
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
