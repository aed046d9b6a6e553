import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { archiveSegment, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'

it('a path under its reserve is passed over, until it has room again', async () => {
  const fleet = await startFleet()
  const placesOf = (walName: string) =>
    fleet.rows(
      `select p.name from pgarch.arch_copy c join pgarch.arch_path_info p on p.id = c.path_id
       where c.wal_name = $1`,
      [walName],
    )
  const reserveOf = async (name: string) =>
    JSON.parse(await fleet.admin('path', 'show', name, '--json')).reserveBytes
  await fleet.addPath('full')
  await fleet.addPath('roomy')
  expect(await reserveOf('roomy')).toBe(64 * 1024 ** 2)
  const root = makeFolder(fleet.folder, 'other')
  await fleet.admin('path', 'add', 'other', '--root', root, '--reserve', '2GB')
  expect(await reserveOf('other')).toBe(2 * 1024 ** 3)
  await fleet.admin('path', 'set', 'full', '--reserve', '1000TB')
  expect(await reserveOf('full')).toBe(1000 * 1024 ** 4)
  expect(await fleet.admin('path', 'list')).toContain('1000 TB')

  const primary = await fleet.startPrimary('one', ['full', 'roomy'])
  expect(await placesOf(await archiveSegment(primary))).toEqual([{ name: 'roomy' }])
  expect(primary.log()).toMatch(/path "full": .* would eat into the reserve/)

  await fleet.admin('path', 'set', 'full', '--reserve', '0B')
  const state = join(fleet.environment.PGARCH_STATE_DIR ?? '', primary.dataDirectory, '@pgarch')
  await rm(join(state, 'rests.json'))
  expect(await placesOf(await archiveSegment(primary))).toEqual([{ name: 'full' }])
  await primary.stop('immediate')
})
