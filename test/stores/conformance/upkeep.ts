import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore, withStore } from '../../../src/stores/open.ts'
import type { PathDescription } from '../../../src/stores/store.ts'
import { storedName } from '../../../src/stores/stored-file.ts'
import { makeFolder } from '../../support/folder.ts'
import { all } from '../all.ts'
import { claim, describePath, withoutPrivilege } from '../bed.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample, segment } from '../samples.ts'

/** What the admin commands use. */
export function upkeep(on: Bench): void {
  describe('list, remove, claim, probe', () => {
    test('lists what is below a directory, but nothing half-written', async () => {
      const walNames = [segment, `${segment}.partial`, '00000002.history']
      for (const walName of walNames) await on.put(randomSample(10, walName))
      await writeFile(join(dirname(on.stored()), '.x.zst.0123.pgarch-tmp'), 'half')
      const names = (await all(on.store.list(fingerprint))).map((file) => file.name)
      expect(names.sort()).toEqual(walNames.map((one) => storedName(fingerprint, one)).sort())
      const [only] = await all(on.store.list(`${fingerprint}/${segment.slice(0, 16)}`))
      expect(only?.size).toBe(statSync(on.stored()).size)
      expect(await all(on.store.list(randomUUID()))).toEqual([])
      expect(await all(on.store.list(''))).toHaveLength(4)
    })

    test('removes a file, and what is not there', async () => {
      await on.put(randomSample(10))
      await on.store.remove(name)
      expect(existsSync(on.stored())).toBe(false)
      await on.store.remove(name)
      await on.store.remove(`${randomUUID()}/x/y.zst`)
    })

    test.each(['../x', '/etc/passwd', 'a/../../x', 'a//b', 'a/./b', ''])(
      'no name leads out of the root: %j',
      async (bad) => {
        const { content, digest } = randomSample(1)
        const refused = failure('refused')
        await expect(on.store.put(bad, content, digest)).rejects.toEqual(refused)
        await expect(on.store.get(bad, on.destination)).rejects.toEqual(refused)
        await expect(on.store.remove(bad)).rejects.toEqual(refused)
      },
    )

    test('probe leaves nothing behind and tells the free space', async () => {
      const { freeBytes, totalBytes } = await on.store.probe()
      expect(freeBytes).toBeGreaterThan(0)
      expect(totalBytes).toBeGreaterThan(freeBytes ?? Number.NaN)
      // What is used and what is free make all, as in df: what only root may write is neither.
      const { blocks, bfree, bavail, bsize } = statfsSync(on.rootPath)
      expect(totalBytes).toBe((blocks - bfree + bavail) * bsize)
      expect(readdirSync(on.rootPath)).toEqual(['pgarch-path'])
    })

    test('claim does it once, and never takes what is claimed', async () => {
      const written = readFileSync(join(on.rootPath, 'pgarch-path'), 'utf8')
      expect(JSON.parse(written)).toMatchObject({ path: on.store.path.uuid })
      await claim(on.bed, on.store.path)
      const other = describePath(on.bed, on.rootPath)
      await expect(claim(on.bed, other)).rejects.toEqual(failure('unusable', /another path's/))
      expect(readFileSync(join(on.rootPath, 'pgarch-path'), 'utf8')).toBe(written)
      expect(readdirSync(on.rootPath)).toEqual(['pgarch-path'])
    })

    test('a new root can be probed and claimed, but not used before', async () => {
      const fresh = describePath(on.bed, makeFolder(on.folder, `fresh-${randomUUID()}`))
      await withStore(
        fresh,
        on.bed.options,
        async (unclaimed) => {
          await unclaimed.probe()
          const { content, digest } = randomSample(1)
          await expect(unclaimed.put(name, content, digest)).rejects.toEqual(failure('unusable'))
          expect(readdirSync(fresh.rootPath)).toEqual([])
        },
        { unclaimed: true },
      )
    })

    test('a root that does not exist, or may not be written, fails the probe', async () => {
      const probe = (path: PathDescription) =>
        withStore(path, on.bed.options, (one) => one.probe(), { unclaimed: true })
      const nowhere = describePath(on.bed, join(on.folder, 'nowhere'))
      await expect(probe(nowhere)).rejects.toEqual(failure('unusable', /there is no/))
      expect(existsSync(nowhere.rootPath)).toBe(false)
      await chmod(on.rootPath, 0o500)
      await expect(withoutPrivilege(() => on.store.probe())).rejects.toEqual(
        failure('unusable', /permission denied/),
      )
    })
  })
  test('a store whose root is not absolute does not open', async () => {
    const path = describePath(on.bed, 'relative')
    await expect(openStore(path, on.bed.options)).rejects.toEqual(failure('usage'))
  })
}
