import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { noteAsked } from '../../src/postgres/prefetched.ts'
import { parseWalName, type SegmentName } from '../../src/wal/names.ts'
import { followRecovery } from '../../src/worker/position.ts'
import { isTidings, openSpool, type Spool } from '../../src/worker/spool.ts'
import { temporaryFolder } from '../support/folder.ts'

const segment = (number: number, timeline = 1) =>
  `0000000${timeline}00000000${number.toString(16).toUpperCase().padStart(8, '0')}`

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('spool')
})
afterEach(() => folder.remove())

const file = (name: string, life = 'life') => join(folder.path, 'prefetch', life, name)
const open = () => openSpool(folder.path, 'life')
const names = (life = 'life') => readdirSync(join(folder.path, 'prefetch', life)).sort()

async function publish(spool: Spool, ...walNames: string[]): Promise<void> {
  for (const walName of walNames) {
    await spool.begin(walName)
    writeFileSync(spool.incoming(walName), walName)
    await spool.publish(walName)
    await spool.end(walName)
  }
}

/** As the launcher does it. */
const take = (walName: string) => renameSync(file(walName), join(folder.path, 'RECOVERYXLOG'))

describe('the spool', () => {
  it('of another life is removed; of one that was killed only what is whole stays', async () => {
    mkdirSync(file('', 'former'), { recursive: true })
    writeFileSync(file(segment(1), 'former'), 'old')
    await publish(await open(), segment(2))
    writeFileSync(file('asked'), segment(1))
    for (const name of ['.coming', '.bell']) writeFileSync(file(`${segment(3)}${name}`), '')
    writeFileSync(join(file('incoming'), segment(3)), 'half')
    await open()
    expect(readdirSync(join(folder.path, 'prefetch'))).toEqual(['life'])
    expect(names()).toEqual([segment(2), 'asked', 'incoming'])
    expect(readdirSync(file('incoming'))).toEqual([])
  })

  it('tells of a segment on its way until it is published, or came to nothing', async () => {
    const spool = await open()
    await spool.begin(segment(2))
    expect(names()).toEqual([`${segment(2)}.coming`, 'incoming'])
    await spool.end(segment(2))
    expect(names()).toEqual(['incoming'])
    await publish(spool, segment(2))
    expect(names()).toEqual([segment(2), 'incoming'])
    expect(spool.has(segment(2))).toBe(true)
  })

  it('removes what is not wanted, with the bells of launchers that are gone', async () => {
    const spool = await open()
    await publish(spool, segment(2), segment(3))
    writeFileSync(file('asked'), segment(1))
    for (const number of [2, 3]) execFileSync('mkfifo', [file(`${segment(number)}.bell`)])
    await spool.keepOnly(new Set([segment(3)]))
    expect(names()).toEqual([segment(3), `${segment(3)}.bell`, 'asked', 'incoming'])
    expect(spool.has(segment(2))).toBe(false)
    await spool.remove()
    expect(existsSync(file(''))).toBe(false)
  })

  it('knows what the launcher took, also before anybody looked, and not what it removed itself', async () => {
    const spool = await open()
    await publish(spool, segment(2))
    take(segment(2))
    await publish(spool, segment(3), segment(4))
    expect(await spool.look()).toEqual([segment(2)])
    take(segment(3))
    await spool.keepOnly(new Set())
    expect(await spool.look()).toEqual([segment(3)])
    expect(await spool.look()).toEqual([])
  })

  it('does not take for taken what is published while it looks', async () => {
    const spool = await open()
    const looked = spool.look()
    await publish(spool, segment(2))
    expect(await looked).toEqual([])
    expect(await spool.look()).toEqual([])
    expect(spool.has(segment(2))).toBe(true)
  })

  it('only what says where recovery is wakes the prefetching worker', () => {
    const files = [segment(2), 'asked', `${segment(2)}.coming`, `${segment(2)}.bell`, 'asked.tmp']
    expect(files.filter(isTidings)).toEqual([segment(2), 'asked'])
  })
})

describe('the position', () => {
  const follow = async (number: number) => {
    const spool = await open()
    const first = parseWalName(segment(number)) as SegmentName
    return { spool, position: followRecovery(spool, first) }
  }
  const ask = (walName: string) => noteAsked(folder.path, 'life', walName)

  it('is the last segment that was taken, or asked for, even if that is an earlier one', async () => {
    const { spool, position } = await follow(1)
    expect(await position.look()).toBe(false)
    await publish(spool, segment(2), segment(3), segment(4))
    expect(await position.look()).toBe(false)
    take(segment(3))
    take(segment(2))
    expect(await position.look()).toBe(true)
    expect(position.asked().name).toBe(segment(3))
    await ask(segment(9))
    expect(await position.look()).toBe(true)
    expect(position.asked().name).toBe(segment(9))
    await ask(segment(5))
    expect(await position.look()).toBe(true)
    expect(position.asked().name).toBe(segment(5))
    expect(await position.look()).toBe(false)
  })

  it('does not go back to what was removed as no longer wanted', async () => {
    const { spool, position } = await follow(1)
    await publish(spool, segment(2), segment(3))
    await ask(segment(9))
    await position.look()
    await spool.keepOnly(new Set())
    expect(await position.look()).toBe(false)
    expect(position.asked().name).toBe(segment(9))
  })

  it('is on the timeline of the later segment', async () => {
    const { spool, position } = await follow(1)
    await publish(spool, segment(2, 2), segment(3, 1))
    await position.look()
    for (const name of [segment(2, 2), segment(3, 1)]) take(name)
    await position.look()
    expect(position.asked().name).toBe(segment(3, 1))
  })

  it('what a fetch asked for is told to nobody where no worker has ever run in this life', async () => {
    await noteAsked(folder.path, 'other', segment(1))
    expect(existsSync(join(folder.path, 'prefetch'))).toBe(false)
    await open()
    rmSync(file(''), { recursive: true })
    await ask(segment(1))
    expect(existsSync(file(''))).toBe(false)
  })
})
