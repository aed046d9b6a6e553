import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { link, rename, symlink, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { storedName } from '../../../src/stores/stored-file.ts'
import { makeFolder } from '../../support/folder.ts'
import { all } from '../all.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample } from '../samples.ts'

/** What settles a conflict, and what finds its way without a scheduling database. */
export function settingAside(on: Bench): void {
  describe('set aside', () => {
    test('frees the name, loses nothing, and can be repeated', async () => {
      const [first, second] = [randomSample(5000), randomSample(6000)]
      await on.put(first)
      const bytes = readFileSync(on.stored())
      const aside = await on.store.setAside(name, first.digest.sha256)
      expect(aside).toBe(`${name}.${first.digest.sha256}.set-aside`)
      expect(existsSync(on.stored())).toBe(false)
      expect(readFileSync(on.stored(aside)).equals(bytes)).toBe(true)
      expect(await all(on.store.list(fingerprint))).toEqual([])
      expect(await on.store.get(name, on.destination)).toBe('absent')

      expect(await on.store.setAside(name, first.digest.sha256)).toBe(aside)
      expect((await on.put(second)).outcome).toBe('stored')
      expect(await on.store.setAside(name, first.digest.sha256)).toBe(aside)
      expect(await on.store.examine(name)).toMatchObject({ digest: second.digest })
    })

    test('goes on where a killed one stopped, before and after the old name was freed', async () => {
      const given = randomSample(5000)
      await on.put(given)
      const aside = `${name}.${given.digest.sha256}.set-aside`
      await link(on.stored(), on.stored(aside))
      expect(await on.store.setAside(name, given.digest.sha256)).toBe(aside)
      expect(readdirSync(dirname(on.stored()))).toEqual([aside.slice(aside.lastIndexOf('/') + 1)])
    })

    test('leaves other content as it is, and frees no name for a file that is spoilt', async () => {
      const given = randomSample(5000)
      await on.put(given)
      const other = randomSample(5000).digest.sha256
      await expect(on.store.setAside(name, other)).rejects.toEqual(failure('conflict'))
      writeFileSync(on.stored(`${name}.${given.digest.sha256}.set-aside`), 'spoilt')
      await expect(on.store.setAside(name, given.digest.sha256)).rejects.toEqual(failure('damaged'))
      expect(await on.store.examine(name)).toMatchObject({ digest: given.digest })
      await unlink(on.stored())
      await unlink(on.stored(`${name}.${given.digest.sha256}.set-aside`))
      expect(await on.store.setAside(name, given.digest.sha256)).toBe('absent')
      await rename(dirname(on.stored()), `${dirname(on.stored())}.away`)
      await symlink('nowhere', dirname(on.stored()))
      await expect(on.store.setAside(name, given.digest.sha256)).rejects.toEqual(
        failure('unusable'),
      )
    })

    test('needs the right path', async () => {
      const given = randomSample(5000)
      await on.put(given)
      await unlink(join(on.rootPath, 'pgarch-path'))
      const wrong = failure('unusable', /pgarch-path/)
      await expect(on.store.setAside(name, given.digest.sha256)).rejects.toEqual(wrong)
      await expect(on.store.examine(name)).rejects.toEqual(wrong)
      await expect(on.store.readText('x')).rejects.toEqual(wrong)
      await expect(on.store.clusters()).rejects.toEqual(wrong)
      expect(existsSync(on.stored())).toBe(true)
    })
  })

  describe('examine, read a text, name the clusters', () => {
    test('examines what is stored, and tells damage', async () => {
      const given = randomSample(5000)
      const { storedBytes } = await on.put(given)
      const examined = await on.store.examine(name)
      expect(examined).toMatchObject({ digest: given.digest, storedBytes })
      expect(await on.store.examine(storedName(fingerprint, '00000002.history'))).toBe('absent')
      writeFileSync(on.stored(), readFileSync(on.stored()).fill(0, 20, 60))
      await expect(on.store.examine(name)).rejects.toEqual(failure('damaged'))
    })

    test('reads a text, or that there is none', async () => {
      makeFolder(on.rootPath, fingerprint)
      writeFileSync(join(on.rootPath, fingerprint, 'manifest.json'), '{"a":1}')
      expect(await on.store.readText(`${fingerprint}/manifest.json`)).toBe('{"a":1}')
      expect(await on.store.readText(`${fingerprint}/other.json`)).toBe('absent')
      await symlink('nowhere', join(on.rootPath, 'gone'))
      await expect(on.store.readText('gone/manifest.json')).rejects.toEqual(failure('unusable'))
      await expect(on.store.examine('gone/x.zst')).rejects.toEqual(failure('unusable'))
    })

    test('names clusters by their directories, and nothing else', async () => {
      expect(await on.store.clusters()).toEqual([])
      await on.put(randomSample(10))
      makeFolder(on.rootPath, 'lost+found')
      writeFileSync(join(on.rootPath, randomUUID()), 'no directory')
      expect(await on.store.clusters()).toEqual([fingerprint])
    })
  })
}
