import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import * as files from '../../src/postgres/ready-files.ts'
import { openMarkers } from '../../src/worker/markers.ts'
import { readyQueue } from '../../src/worker/queue.ts'
import { temporaryFolder } from '../support/folder.ts'

let folder: ReturnType<typeof temporaryFolder>
const data = () => join(folder.path, 'data')
const statusFile = (name: string) => join(files.statusDirectoryOf(data()), `${name}.ready`)
const ready = (name: string) => writeFileSync(statusFile(name), '')
const segment = (number: number) => `00000001000000000000000${number}`

beforeEach(() => {
  folder = temporaryFolder('queue')
  mkdirSync(files.statusDirectoryOf(data()), { recursive: true })
})
afterEach(async () => {
  vi.useRealTimers()
  await folder.remove()
})

async function open(except?: string) {
  const markers = await openMarkers(folder.path, 'life')
  return { markers, queue: readyQueue(data(), markers, except) }
}

it.each([
  [
    'histories first, then by name',
    ['000000020000000000000001', '00000002.history', '000000010000000000000002'],
    ['00000002.history', '000000010000000000000002', '000000020000000000000001'],
  ],
  [
    'a segment before its backup history before its partial',
    [`${segment(1)}.partial`, `${segment(1)}.00000028.backup`, segment(1)],
    [segment(1), `${segment(1)}.00000028.backup`, `${segment(1)}.partial`],
  ],
])('the order is PostgreSQL’s: %s', (_title, names, order) => {
  expect(files.orderReadyFiles(names.map((name) => `${name}.ready`))).toEqual(order)
})

it('only what is ready, and a WAL file, is work', () => {
  const names = [`${segment(1)}.done`, 'x.ready', `${segment(2)}.ready`, `${segment(3)}.ready.tmp`]
  expect(files.orderReadyFiles(names)).toEqual([segment(2)])
})

it('gives out each file once, until it is done or failed, and a failed one after a pause', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  ready(segment(1))
  ready(segment(2))
  const { queue, markers } = await open()
  expect(await queue.next()).toBe(segment(1))
  expect(await queue.next()).toBe(segment(2))
  expect(await queue.next()).toBeUndefined()
  await markers.pushed(segment(2), [])
  queue.done(segment(2), 'pushed')
  queue.done(segment(1), 'failed')
  expect(await queue.next()).toBeUndefined()
  vi.advanceTimersByTime(2001)
  expect(await queue.next()).toBe(segment(1))
  expect(await queue.next()).toBeUndefined()
})

it('a file that fails is not tried twice in a row, so that it alone holds up nobody', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  for (let number = 1; number <= 3; number++) ready(segment(number))
  const { queue, markers } = await open()
  expect(await queue.next()).toBe(segment(1))
  queue.done(segment(1), 'failed')
  vi.advanceTimersByTime(1001)
  expect(await queue.next()).toBe(segment(2))
  await markers.pushed(segment(2), [])
  queue.done(segment(2), 'pushed')
  expect(await queue.next()).toBe(segment(3))
})

it('in an outage one file is tried now and then, in turns, whatever waits', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  for (let number = 1; number <= 9; number++) ready(segment(number))
  const { queue } = await open()
  const tried: string[] = []
  for (let second = 0; second < 60; second++) {
    for (let name = await queue.next(); name !== undefined; name = await queue.next()) {
      tried.push(name)
      queue.done(name, 'failed')
    }
    vi.advanceTimersByTime(1000)
  }
  expect(tried.length).toBeLessThan(16)
  expect(tried.slice(0, 4)).toEqual([segment(1), segment(2), segment(1), segment(2)])
})

it('one in a conflict rests longer and longer, and the others go on at once', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  ready(segment(1))
  const { queue, markers } = await open()
  let times = 0
  for (let second = 0; second < 300; second++) {
    const name = await queue.next()
    if (name === segment(1)) {
      times++
      queue.done(segment(1), 'stuck')
      ready(segment(2))
      expect(await queue.next()).toBe(segment(2))
      await markers.pushed(segment(2), [])
      queue.done(segment(2), 'pushed')
      rmSync(statusFile(segment(2)))
    }
    vi.advanceTimersByTime(1000)
  }
  expect(times).toBeLessThan(12)
})

it('takes the reasons of an outage back when one is archived, but not those of a conflict', async () => {
  const { markers } = await open()
  const reasons = () => readdirSync(join(folder.path, 'failed', 'life')).sort()
  await markers.failed(segment(1), ['down'], 'in an outage')
  await markers.failed(segment(2), ['other content'], 'by itself')
  await markers.failed(segment(3), ['down'], 'in an outage')
  expect(reasons()).toEqual([segment(1), segment(2), segment(3)])
  await markers.pushed(segment(3), [])
  expect(reasons()).toEqual([segment(2)])
  await open()
  expect(reasons()).toEqual([])
})

it('leaves a bell, and a marker, that came while the directory was listed', async () => {
  const { markers } = await open()
  const bell = join(folder.path, 'bell', segment(2))
  await markers.keepOnly(async () => {
    writeFileSync(bell, '')
    await markers.pushed(segment(3), [])
    return [segment(1)]
  })
  expect(existsSync(bell)).toBe(true)
  expect(markers.has(segment(3))).toBe(true)
})

it('a backlog is listed once; a history that comes meanwhile overtakes', async () => {
  for (let number = 1; number <= 5; number++) ready(segment(number))
  const { queue } = await open()
  await queue.next()
  rmSync(files.statusDirectoryOf(data()), { recursive: true })
  expect(await queue.next()).toBe(segment(2))
  queue.hurry('00000002.history')
  queue.hurry(segment(9))
  expect(await queue.next()).toBe('00000002.history')
  expect(await queue.next()).toBe(segment(3))
})

it('leaves the file alone that the push which started it has in hand', async () => {
  ready(segment(1))
  ready(segment(2))
  const { queue } = await open(segment(1))
  expect(await queue.next()).toBe(segment(2))
  expect(await queue.next()).toBeUndefined()
})

it('removes markers, reasons and bells that PostgreSQL has no use for any more', async () => {
  ready(segment(1))
  const { queue, markers } = await open()
  await markers.pushed(segment(1), [])
  await markers.pushed(segment(2), [])
  await queue.next()
  expect(markers.has(segment(1))).toBe(true)
  expect(markers.has(segment(2))).toBe(false)
  const again = await openMarkers(folder.path, 'life')
  expect([again.has(segment(1)), again.has(segment(2))]).toEqual([true, false])
})

it('another life begins without the markers of the last one', async () => {
  const { markers } = await open()
  await markers.pushed(segment(1), [])
  const next = await openMarkers(folder.path, 'next')
  expect(next.has(segment(1))).toBe(false)
  expect((await openMarkers(folder.path, 'life')).has(segment(1))).toBe(false)
})

it('what was left for a file that became ready while the directory was listed stays', async () => {
  const { markers } = await open()
  const bell = join(folder.path, 'bell', segment(2))
  const listReady = async () => {
    writeFileSync(bell, '')
    await markers.pushed(segment(3), [])
    return [segment(1)]
  }
  await markers.pushed(segment(4), [])
  expect(await markers.keepOnly(listReady)).toEqual([segment(1)])
  expect(existsSync(bell)).toBe(true)
  expect([segment(3), segment(4)].map(markers.has)).toEqual([true, false])
  await markers.keepOnly(async () => [])
  expect(existsSync(bell)).toBe(false)
})
