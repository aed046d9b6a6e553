import { beforeAll, expect, test } from 'vitest'
import { retireCluster } from '../../src/schedule/clusters.ts'
import { losePath } from '../../src/schedule/lost-paths.ts'
import { queryVolumeToday } from '../../src/schedule/volume.ts'
import { startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
  type TestSchedule,
} from './fixture.ts'

let schedule: TestSchedule
beforeAll(async () => {
  schedule = await createSchedule(await startServer(), 'pgarch')
})

const today = () => schedule.asAdmin(queryVolumeToday)

test('what went to each path today, and was taken from it, of all clusters together', async () => {
  const one = await addCluster(schedule, 'one', '1')
  const other = await addCluster(schedule, 'other', '2')
  const berlin = await addPath(schedule, 'berlin', [one, other])
  const aside = await addPath(schedule, 'aside', [one])
  await schedule.asAgent(async (s) => {
    const failed = { status: 'failed', storedBytes: null, error: 'no space' } as const
    await recordCopies(s, one.member, [
      eventOf(segment(1), aside, failed),
      eventOf(segment(1), berlin, { storedBytes: 100, durationMilliseconds: 1500 }),
      eventOf(segment(2), berlin, { storedBytes: 200, durationMilliseconds: 500 }),
    ])
    await recordCopies(s, other.member, [
      eventOf(segment(1), berlin, { storedBytes: 300, durationMilliseconds: 250 }),
    ])
  })
  await schedule.rows('delete from pgarch.arch_copy where wal_name = $1', [segment(2)])
  // Yesterday's do not count.
  await schedule.rows(
    `insert into pgarch.arch_daily
     select day - 1, db_id, path_id, 5, 5, 5, '5s', '5s', 5 from pgarch.arch_daily;
     insert into pgarch.arch_daily_removed
     select day - 1, db_id, path_id, 5, 5 from pgarch.arch_daily_removed`,
  )
  const volumes = [
    {
      ...{ path: 'aside', files: 0, walBytes: 0, storedBytes: 0, seconds: 0, failures: 1 },
      ...{ removedFiles: 0, removedBytes: 0 },
    },
    {
      ...{ path: 'berlin', files: 3, walBytes: 3 * 16_777_216, storedBytes: 600, seconds: 2.25 },
      ...{ failures: 0, removedFiles: 1, removedBytes: 200 },
    },
  ]
  expect(await today()).toEqual(volumes)

  // A sum that shrinks would look like one that began anew.
  await schedule.asAdmin((s) => retireCluster(s, other.fingerprint))
  expect(await today()).toEqual(volumes)
})

test('a path that nothing went to has nothing, and one that is lost makes way for its successor', async () => {
  const lost = await addPath(schedule, 'madrid', [])
  await schedule.asAdmin((s) => losePath(s, lost, { author: 'me', reason: null }))
  await addPath(schedule, 'madrid', [])
  const madrids = (await today()).filter(({ path }) => path === 'madrid')
  expect(madrids).toEqual([expect.objectContaining({ files: 0, failures: 0, removedFiles: 0 })])
})
