import { existsSync, readdirSync } from 'node:fs'
import { utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { withStore } from '../../../src/stores/open.ts'
import { storedName } from '../../../src/stores/stored-file.ts'
import { ownByUnprivileged } from '../../support/folder.ts'
import { type Bench, failure, name } from '../bench.ts'
import { fingerprint, interrupted, randomSample, sample, segment } from '../samples.ts'

/** A name appears whole and durable, or not at all. */
export function unfinishedUpload(on: Bench): void {
  describe('an upload that does not come to its end', () => {
    const left = () => (existsSync(dirname(on.stored())) ? readdirSync(dirname(on.stored())) : [])

    test('is aborted: rejects with the reason and leaves nothing', async () => {
      const from = randomSample(16_000_000)
      const abort = new AbortController()
      const reason = new Error('enough')
      const content = interrupted(from, 4, () => abort.abort(reason))
      await expect(on.put(from, content, abort.signal)).rejects.toBe(reason)
      expect(left()).toEqual([])
      await expect(on.put(from, from.content, abort.signal)).rejects.toBe(reason)
      expect(await on.put(from)).toMatchObject({ outcome: 'stored' })
    })

    test('its source fails: leaves nothing', async () => {
      const from = randomSample(16_000_000)
      const content = interrupted(from, 4, () => {
        throw new Error('input/output error')
      })
      await expect(on.put(from, content)).rejects.toEqual(failure('refused', /input.output error/))
      expect(left()).toEqual([])
    })

    test.each([
      ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')])],
      ['shorter', (bytes: Buffer) => bytes.subarray(1)],
      ['other', (bytes: Buffer) => Buffer.alloc(bytes.length)],
    ])('its source changed and is %s now: refused, leaves nothing', async (_, change) => {
      const from = randomSample(3_000_000)
      const changed = sample(change(from.bytes))
      await expect(on.put(from, changed.content)).rejects.toEqual(failure('refused', /changed/))
      expect(left()).toEqual([])
    })

    test('it drips: the deadline of the whole transfer ends it', async () => {
      const limits = { ...on.bed.options, stallTimeout: 5_000, transferTimeout: 1_500 }
      const from = randomSample(16_000_000)
      const slow = {
        async *open() {
          for (let start = 0; start < from.bytes.length; start += 500_000) {
            await new Promise((resolve) => setTimeout(resolve, 200))
            yield from.bytes.subarray(start, start + 500_000)
          }
        },
      }
      const attempt = withStore(on.store.path, limits, (one) => one.put(name, slow, from.digest))
      await expect(attempt).rejects.toEqual(
        failure('unreachable', /site-a.*the transfer took more than 1.5 s/),
      )
      expect(existsSync(on.stored())).toBe(false)
    })

    test('its source stands still: the deadline without progress ends it', async () => {
      const limits = { ...on.bed.options, stallTimeout: 500 }
      const from = randomSample(16_000_000)
      const stuck = interrupted(from, 4, () => new Promise(() => {}))
      const attempt = withStore(on.store.path, limits, (one) => one.put(name, stuck, from.digest))
      await expect(attempt).rejects.toEqual(failure('unreachable', /site-a.*no progress for 0.5 s/))
      expect(existsSync(on.stored())).toBe(false)
    })

    test('what dead writers left is swept; what may be alive is not', async () => {
      await on.put(randomSample(10))
      const directory = dirname(on.stored())
      const dead = join(directory, '.a.zst.0123.pgarch-tmp')
      const alive = join(directory, '.b.zst.0123.pgarch-tmp')
      for (const file of [dead, alive]) await writeFile(file, 'half')
      const twoHoursAgo = Date.now() / 1000 - 7200
      await utimes(dead, twoHoursAgo, twoHoursAgo)
      ownByUnprivileged(directory)
      const next = randomSample(10, '000000010000000A00000030')
      await withStore(on.store.path, on.bed.options, (one) =>
        one.put(storedName(fingerprint, next.digest.walName), next.content, next.digest),
      )
      expect(readdirSync(directory).sort()).toEqual([
        '.b.zst.0123.pgarch-tmp',
        `${segment}.zst`,
        `${next.digest.walName}.zst`,
      ])
    })
  })
}
