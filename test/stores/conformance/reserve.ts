import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openClaimed } from '../bed.ts'
import { type Bench, failure } from '../bench.ts'
import { randomSample, segment } from '../samples.ts'
import { mountSmallDisk } from '../small-disk.ts'

const megabyte = 1024 ** 2

/** A disk of 4 MiB of which some is to stay free; needs root, who may mount. */
export function reserve(on: Bench): void {
  describe.skipIf(process.getuid?.() !== 0)('a reserve of free space', () => {
    test('a file that would eat into it is refused, and fits when there is room again', async () => {
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath, 2 * megabyte)
        const large = randomSample(megabyte)
        const filler = join(on.rootPath, 'filler')
        await writeFile(filler, Buffer.alloc(1.5 * megabyte, 'x'))
        await expect(on.put(large)).rejects.toEqual(
          failure(
            'unusable',
            /1048576 bytes .* reserve: \d+ bytes are free .* 2097152 are to stay/,
          ),
        )
        expect(existsSync(dirname(on.stored()))).toBe(false)
        await rm(filler)
        expect(await on.put(large)).toMatchObject({ outcome: 'stored' })
      } finally {
        await disk.unmount()
      }
    })

    test('what is there already needs no room', async () => {
      const disk = await mountSmallDisk(on.rootPath)
      try {
        await on.store.close()
        on.store = await openClaimed(on.bed, on.rootPath, 2 * megabyte)
        const archived = randomSample(10)
        await on.put(archived)
        await writeFile(join(on.rootPath, 'filler'), Buffer.alloc(3 * megabyte, 'x'))
        expect(await on.put(archived)).toMatchObject({ outcome: 'already-stored' })
        await expect(on.put(randomSample(10, `${segment}.partial`))).rejects.toEqual(
          failure('unusable', /reserve/),
        )
      } finally {
        await disk.unmount()
      }
    })
  })
}
