import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { withStore } from '../../../src/stores/open.ts'
import { storedName } from '../../../src/stores/stored-file.ts'
import { makeFolder } from '../../support/folder.ts'
import { describePath } from '../bed.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample } from '../samples.ts'

const manifest = `${fingerprint}/manifest.json`

/** What a scheduling database can be made of again: trailers, small texts, and whose a root is. */
export function inspection(on: Bench): void {
  describe('inspect, texts and claims', () => {
    test.each([0, 1, 3_000_000])('inspects a file of %d bytes by its trailer', async (size) => {
      const from = randomSample(size)
      const { storedBytes } = await on.put(from)
      expect(await on.store.inspect(name)).toEqual({ ...from.digest, storedBytes })
    })

    test('a file that is not whole, or is another one, is damaged', async () => {
      await on.put(randomSample(100_000))
      const other = storedName(fingerprint, '00000002.history')
      await cp(on.stored(), on.stored(other))
      await expect(on.store.inspect(other)).rejects.toEqual(
        failure('damaged', /site-a.*has the trailer of/),
      )
      for (const size of [statSync(on.stored()).size - 1, 511, 0]) {
        truncateSync(on.stored(), size)
        await expect(on.store.inspect(name)).rejects.toEqual(failure('damaged', /no valid trailer/))
      }
    })

    test('a text is written once, and given back', async () => {
      await on.put(randomSample(1))
      expect(await on.store.readText(manifest)).toBe('absent')
      expect(await on.store.putText(manifest, 'first')).toBe('stored')
      expect(await on.store.putText(manifest, 'second')).toBe('exists')
      expect(await on.store.readText(manifest)).toBe('first')
      expect(readdirSync(dirname(on.stored(manifest))).sort()).toEqual(
        [name.split('/')[1], 'manifest.json'].sort(),
      )
    })

    test('no text goes into a directory that is not there', async () => {
      await expect(on.store.putText(manifest, 'text')).rejects.toEqual(
        failure('unusable', /there is no/),
      )
      expect(readdirSync(on.rootPath)).toEqual(['pgarch-path'])
    })

    test('without pgarch-path nothing is said or written', async () => {
      await on.put(randomSample(1))
      await rm(join(on.rootPath, 'pgarch-path'))
      const unusable = failure('unusable', /has no pgarch-path/)
      const nowhere = storedName(fingerprint, '00000002.history')
      for (const one of [name, nowhere]) {
        await expect(on.store.inspect(one)).rejects.toEqual(unusable)
      }
      await expect(on.store.putText(manifest, 'text')).rejects.toEqual(unusable)
    })

    test('what is not there is absent', async () => {
      expect(await on.store.inspect(name)).toBe('absent')
    })

    test('tells who claimed a root', async () => {
      const claimOf = (rootPath: string) =>
        withStore(
          { ...describePath(on.bed, rootPath), id: 7 },
          on.bed.options,
          (store) => store.readClaim(),
          { unclaimed: true },
        )
      const { id, uuid } = on.store.path
      expect(await claimOf(on.rootPath)).toEqual({ uuid, id })
      expect(await claimOf(makeFolder(on.rootPath, 'fresh'))).toBeUndefined()
      expect(JSON.parse(readFileSync(join(on.rootPath, 'pgarch-path'), 'utf8'))).toEqual({
        version: 1,
        path: uuid,
        id,
        name: 'site-a',
      })
    })
  })
}
