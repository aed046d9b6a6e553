import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { storedName } from '../../../src/stores/stored-file.ts'
import { all } from '../all.ts'
import { withoutPrivilege } from '../bed.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, randomSample, segment } from '../samples.ts'

/** Absence is proved; everything else is an error. */
export function absence(on: Bench): void {
  describe('absent, or in doubt', () => {
    test('no such file, no such directory: absent', async () => {
      expect(await on.store.get(name, on.destination)).toBe('absent')
      await on.put(randomSample(10))
      const other = storedName(fingerprint, '000000010000000A00000030')
      expect(await on.store.get(other, on.destination)).toBe('absent')
      expect(existsSync(on.destination)).toBe(false)
    })

    test('a file that may not be read, in a directory that may not be entered', async () => {
      await withoutPrivilege(() => on.put(randomSample(10)))
      await chmod(on.stored(), 0)
      const get = () => withoutPrivilege(() => on.store.get(name, on.destination))
      await expect(get()).rejects.toEqual(failure('unusable', /permission denied/))
      await chmod(dirname(on.stored()), 0)
      await expect(get()).rejects.toEqual(failure('unusable', /permission denied/))
      await chmod(dirname(on.stored()), 0o700)
    })

    test('links to a disk that is gone: the file, its directory', async () => {
      await on.put(randomSample(10))
      await rename(on.stored(), `${on.stored()}.moved`)
      await symlink('/nowhere/x', on.stored())
      await expect(on.store.get(name, on.destination)).rejects.toEqual(failure('unusable'))
      await rm(dirname(on.stored()), { recursive: true })
      await symlink('/nowhere/x', dirname(on.stored()))
      await expect(on.store.get(name, on.destination)).rejects.toEqual(
        failure('unusable', /not to be had/),
      )
      await rm(dirname(on.stored()))
      await writeFile(dirname(on.stored()), 'a file')
      await expect(on.store.get(name, on.destination)).rejects.toEqual(failure('unusable'))
    })

    test.each([
      ['is missing', undefined, /has no pgarch-path/],
      ["is another path's", `{"version":1,"path":"${randomUUID()}","name":"b"}`, /another path's/],
      ['is empty', '', /another path's/],
    ])('pgarch-path %s: every call rejects', async (_, content, message) => {
      await on.put(randomSample(10))
      await rm(join(on.rootPath, 'pgarch-path'))
      if (content !== undefined) await writeFile(join(on.rootPath, 'pgarch-path'), content)
      const unusable = failure('unusable', message)
      await expect(on.store.get(name, on.destination)).rejects.toEqual(unusable)
      await expect(on.store.get(`${name}x`, on.destination)).rejects.toEqual(unusable)
      await expect(on.put(randomSample(9, '00000002.history'))).rejects.toEqual(unusable)
      await expect(all(on.store.list(''))).rejects.toEqual(unusable)
      await expect(on.store.remove(name)).rejects.toEqual(unusable)
      await expect(on.store.probe()).rejects.toEqual(unusable)
      expect(readdirSync(join(on.rootPath, fingerprint))).toEqual([segment.slice(0, 16)])
      expect(existsSync(on.stored())).toBe(true)
    })
  })
}
