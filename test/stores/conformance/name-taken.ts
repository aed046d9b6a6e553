import { readFileSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type Bench, failure, name } from '../bench.ts'
import { race } from '../race.ts'
import { randomSample } from '../samples.ts'

/** Nothing is ever replaced, whoever comes second. */
export function nameTaken(on: Bench): void {
  describe('a name that is taken', () => {
    test('by the same content: it is archived already', async () => {
      const from = randomSample(2_000_000)
      const { storedBytes } = await on.put(from)
      const before = statSync(on.stored())
      expect(await on.put(from)).toEqual({ outcome: 'already-stored', storedBytes })
      expect(statSync(on.stored()).ino).toBe(before.ino)
    })

    test('by other content: refused, and the first is intact', async () => {
      const first = randomSample(2_000_000)
      await on.put(first)
      await expect(on.put(randomSample(2_000_000))).rejects.toEqual(failure('conflict', /site-a/))
      await on.store.get(name, on.destination)
      expect(readFileSync(on.destination).equals(first.bytes)).toBe(true)
    })

    test("by another cluster's same content: refused", async () => {
      const from = randomSample(100)
      await on.put({ ...from, digest: { ...from.digest, systemIdentifier: '1' } })
      await expect(on.put(from)).rejects.toEqual(failure('conflict'))
    })

    test('by a directory: unusable, and neither absent nor archived', async () => {
      await mkdir(on.stored(), { recursive: true })
      await expect(on.put(randomSample(9))).rejects.toEqual(
        failure('unusable', /not a regular file/),
      )
      await expect(on.store.get(name, on.destination)).rejects.toEqual(failure('unusable'))
    })

    test('two processes race for 200 names: exactly one wins each, with whole content', async () => {
      await race(on.store, on.bed, on.destination)
    })
  })
}
