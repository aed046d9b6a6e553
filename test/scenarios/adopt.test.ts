import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
})

/** Loses the scheduling database, and makes an empty one. */
async function loseSchedule(): Promise<void> {
  await fleet.schedule.query('drop database pgarch with (force)')
  await fleet.schedule.query('create database pgarch')
  await fleet.admin('init')
}

const paths = () =>
  fleet.rows<{ name: string; id: number; uuid: string }>(
    'select name, id, uuid from pgarch.arch_path_info order by id',
  )

it('the scheduling database is lost: adopted paths are what they were, numbers too', async () => {
  const [berlin, hamburg] = [await fleet.addPath('berlin'), await fleet.addPath('hamburg')]
  const before = await paths()
  const mark = readFileSync(join(hamburg, 'pgarch-path'), 'utf8')
  await loseSchedule()
  const add = (name: string, root: string, ...more: string[]) =>
    fleet.pgarch(['path', 'add', name, '--root', root, ...more], { admin: true })

  const plain = await add('hamburg', hamburg)
  expect(plain).toMatchObject({ status: 1, stderr: expect.stringContaining('--adopt') })
  const unmarked = makeFolder(fleet.folder, 'unmarked')
  expect(await add('unmarked', unmarked, '--adopt')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('has no pgarch-path'),
  })
  expect(await paths()).toEqual([])

  expect(await add('hamburg', hamburg, '--adopt')).toMatchObject({ status: 0, stderr: '' })
  await fleet.addPath('third')
  expect(await add('berlin', berlin, '--adopt')).toMatchObject({ status: 0, stderr: '' })
  const after = await paths()
  expect(after.filter(({ name }) => name !== 'third')).toEqual(before)
  expect(after.find(({ name }) => name === 'third')?.id).toBeGreaterThan(2)
  expect(readFileSync(join(hamburg, 'pgarch-path'), 'utf8')).toBe(mark)
  expect(await add('again', hamburg, '--adopt')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('the place is a path already'),
  })
})

it('a number that is taken is not given twice, and that is said', async () => {
  await loseSchedule()
  const root = await fleet.addPath('munich')
  await loseSchedule()
  await fleet.addPath('new')
  const adopt = ['path', 'add', 'munich', '--root', root, '--adopt']
  expect(await fleet.pgarch(adopt, { admin: true })).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('is number 2 now'),
  })
  await fleet.addPath('newer')
  expect((await paths()).map(({ id, name }) => ({ id, name }))).toEqual([
    { id: 1, name: 'new' },
    { id: 2, name: 'munich' },
    { id: 3, name: 'newer' },
  ])
})
