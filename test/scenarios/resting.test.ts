import { renameSync } from 'node:fs'
import { expect, it } from 'vitest'
import { archiveSegment, endRests, startFleet, waitFor, wakeArchiver } from '../support/fleet.ts'
import { copiesOf } from '../support/rows.ts'

it('a path that failed rests: the next one gets the files, until the rest is over', async () => {
  const fleet = await startFleet()
  const root = await fleet.addPath('first')
  const spare = await fleet.addPath('second')
  const primary = await fleet.startPrimary('app', ['first', 'second'])
  const pathOf = async (file: string) =>
    (await copiesOf(fleet, 'app')).filter((copy) => copy.file === file).map(({ path }) => path)
  const complaints = () => primary.log().split('path "first": ').length - 1

  renameSync(root, `${root}.away`)
  expect(await pathOf(await archiveSegment(primary))).toEqual(['second'])
  expect(complaints()).toBe(1)
  expect(await pathOf(await archiveSegment(primary))).toEqual(['second'])
  expect(complaints()).toBe(1)
  renameSync(`${root}.away`, root)
  expect(await pathOf(await archiveSegment(primary))).toEqual(['second'])
  endRests(fleet, primary)
  expect(await pathOf(await archiveSegment(primary))).toEqual(['first'])

  // With nowhere else to go, WAL does not wait for the end of a rest.
  for (const one of [root, spare]) renameSync(one, `${one}.away`)
  const file = archiveSegment(primary)
  await waitFor('both failed', () => primary.log().includes('no path of cluster "app" took'))
  for (const one of [root, spare]) renameSync(`${one}.away`, one)
  await wakeArchiver(primary)
  expect(await pathOf(await file)).toEqual(['first'])
  await primary.stop('immediate')
})
