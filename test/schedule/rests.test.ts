import { afterEach, beforeEach, expect, it } from 'vitest'
import { openRests } from '../../src/schedule/rests.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: ReturnType<typeof temporaryFolder>
let now = 1_000_000_000_000
const open = () => openRests(folder.path, { clock: () => now })
/** Seconds until it is tried again. */
async function restOf(name: string): Promise<number> {
  const rests = await open()
  const start = now
  while (rests.isResting(name)) now += 1000
  return (now - start) / 1000
}

beforeEach(() => {
  folder = temporaryFolder('rests')
})
afterEach(() => folder.remove())

it('every failure after a rest makes the next one twice as long, up to five minutes', async () => {
  const lengths: number[] = []
  for (let times = 0; times < 6; times++) {
    const rests = await open()
    rests.note('berlin', 'failed')
    await rests.save()
    lengths.push(await restOf('berlin'))
  }
  expect(lengths).toEqual([30, 60, 120, 240, 300, 300])
})

it('what fails for many files at once is one failure', async () => {
  const rests = await open()
  for (let lane = 0; lane < 8; lane++) rests.note('berlin', 'failed')
  await rests.save()
  expect(await restOf('berlin')).toBe(30)
})

it('what works does not rest any more', async () => {
  const rests = await open()
  rests.note('berlin', 'failed')
  rests.note('berlin', 'worked')
  await rests.save()
  expect((await open()).isResting('berlin')).toBe(false)
})
