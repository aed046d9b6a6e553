import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { appendFile, chmod, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { shippedName } from '../../../src/stores/shipped-file.ts'
import { makeFolder } from '../../support/folder.ts'
import { openClaimed, withoutPrivilege } from '../bed.ts'
import { type Bench, failure } from '../bench.ts'
import { fingerprint, randomSample, segment } from '../samples.ts'

const id = '0123456789abcdef'
const name = shippedName({ fingerprint, segment, id, systemIdentifier: '1' })

/** Files that grow. */
export function appending(on: Bench): void {
  describe('append', () => {
    const content = () => readFileSync(on.stored(name))
    const read = async () =>
      await on.store.read(name, async (bytes) => {
        const parts: Uint8Array[] = []
        for await (const part of bytes) parts.push(Buffer.from(part))
        return Buffer.concat(parts)
      })

    test('makes the file and its directories, and lets it grow', async () => {
      const parts = [1, 300_000, 3_000_000, 7].map((size) => randomBytes(size))
      let at = 0
      for (const part of parts) {
        await on.store.append(name, at, part)
        at += part.length
      }
      expect(content().equals(Buffer.concat(parts))).toBe(true)
      expect((await read()).valueOf()).toEqual(Buffer.concat(parts))
      expect(statSync(on.stored(name)).mode & 0o007).toBe(0)
      expect(readdirSync(dirname(on.stored(name)))).toHaveLength(1)
    })

    test('writes over a torn tail, and leaves nothing behind it', async () => {
      const start = randomBytes(1000)
      await on.store.append(name, 0, start)
      for (const torn of [randomBytes(10), randomBytes(2_000_000)]) {
        await appendFile(on.stored(name), torn)
        const part = randomBytes(500)
        await on.store.append(name, 1000, part)
        expect(content().equals(Buffer.concat([start, part]))).toBe(true)
      }
      await on.store.append(name, 0, Buffer.from('anew'))
      expect(content().toString()).toBe('anew')
    })

    test('rejects when the file is shorter than it was, or gone, and leaves it so', async () => {
      await on.store.append(name, 0, randomBytes(1000))
      await truncate(on.stored(name), 999)
      const append = () => on.store.append(name, 1000, randomBytes(10))
      await expect(append()).rejects.toEqual(failure('damaged', /site-a.*shorter than 1000/))
      expect(content()).toHaveLength(999)
      await rm(on.stored(name))
      await expect(append()).rejects.toEqual(failure('damaged', /is gone/))
      expect(existsSync(on.stored(name))).toBe(false)
    })

    test('a path that is not the one, is full, or may not be written', async () => {
      await withoutPrivilege(() => on.store.append(name, 0, randomBytes(10)))
      const append = (at: number) =>
        withoutPrivilege(() => on.store.append(name, at, randomBytes(10)))
      await chmod(on.stored(name), 0o400)
      await expect(append(10)).rejects.toEqual(failure('unusable', /permission denied/))
      await chmod(on.stored(name), 0o600)
      const pathFile = join(on.rootPath, 'pgarch-path')
      await writeFile(pathFile, `{"version":1,"path":"${randomUUID()}","name":"b"}`)
      for (const at of [0, 10]) {
        await expect(append(at)).rejects.toEqual(failure('unusable', /another path's/))
      }
      await expect(read()).rejects.toEqual(failure('unusable', /another path's/))
      expect(content()).not.toHaveLength(0)
      await rm(dirname(dirname(on.stored(name))), { recursive: true })
      await expect(append(0)).rejects.toEqual(failure('unusable'))
      expect(existsSync(on.stored(name))).toBe(false)
    })

    test('the reserve of free space is not for it', async () => {
      const { freeBytes = 0 } = await on.store.probe()
      const root = makeFolder(on.folder, `reserved-${randomUUID()}`)
      const store = await openClaimed(on.bed, root, freeBytes * 2)
      try {
        await expect(store.append(name, 0, randomBytes(10))).rejects.toEqual(
          failure('unusable', /reserve/),
        )
      } finally {
        await store.close()
      }
    })

    test('an aborted one rejects with the reason; what is absent is absent', async () => {
      const reason = new Error('enough')
      const append = on.store.append(name, 0, randomBytes(10), AbortSignal.abort(reason))
      await expect(append).rejects.toBe(reason)
      expect(await read()).toBe('absent')
      await on.put(randomSample(10))
      expect(await read()).toBe('absent')
    })
  })
}
