import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openRests } from '../../src/schedule/rests.ts'
import { temporaryFolder } from '../support/folder.ts'

const [seconds, minutes, hours] = [1000, 60_000, 3_600_000]
const noon = Date.UTC(2026, 0, 1, 12)

let state: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  state = temporaryFolder('rests')
})
afterEach(() => state.remove())

/** As a call at this time, which is a process of its own. */
const at = (now: number, options: { longest?: number } = {}) =>
  openRests(state.path, { clock: () => now, ...options })

async function fail(now: number, name = 'berlin'): Promise<void> {
  const rests = await at(now)
  rests.note(name, 'failed')
  await rests.save()
}

const isResting = async (now: number, options = {}) => (await at(now, options)).isResting('berlin')

it('what failed rests in every later call, and nothing else does', async () => {
  await fail(noon)
  expect(await isResting(noon + 29 * seconds)).toBe(true)
  expect(await isResting(noon + 30 * seconds)).toBe(false)
  expect((await at(noon)).isResting('madrid')).toBe(false)
})

it('it rests twice as long with every failure in a row, up to five minutes', async () => {
  let now = noon
  for (const rest of [30, 60, 120, 240, 300, 300]) {
    await fail(now)
    expect([
      await isResting(now + rest * seconds - 1),
      await isResting(now + rest * seconds),
    ]).toEqual([true, false])
    now += rest * seconds
  }
})

it('once it worked it begins anew', async () => {
  await fail(noon)
  await fail(noon + minutes)
  const rests = await at(noon + 5 * minutes)
  rests.note('berlin', 'worked')
  await rests.save()
  await fail(noon + 10 * minutes)
  expect(await isResting(noon + 10 * minutes + 30 * seconds)).toBe(false)
})

it('no longer than the caller bears', async () => {
  for (const minute of [0, 1, 3]) await fail(noon + minute * minutes)
  const now = noon + 3 * minutes + 20 * seconds
  expect(await isResting(now)).toBe(true)
  expect(await isResting(now, { longest: 15 * seconds })).toBe(false)
})

describe('nothing rests', () => {
  it('when the clock was set back', async () => {
    await fail(noon)
    expect(await isResting(noon - hours)).toBe(false)
  })

  it.each(['', '{', 'null', '[]', '{"berlin":5}', '{"berlin":null}'])(
    'by a file that holds %j',
    async (text) => {
      writeFileSync(join(state.path, 'rests.json'), text)
      expect(await isResting(noon)).toBe(false)
    },
  )
})

it('what fails for many files at once is one failure', async () => {
  const rests = await at(noon)
  for (let lane = 0; lane < 8; lane++) rests.note('berlin', 'failed')
  await rests.save()
  expect(await isResting(noon + 30 * seconds)).toBe(false)
})
