import { beforeAll, expect, it } from 'vitest'
import { makeReport, type Report } from '../../src/report/report.ts'
import { deliver } from '../../src/schedule/agent.ts'
import { setPathActive } from '../../src/schedule/paths.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  segment,
  type TestSchedule,
} from '../schedule/fixture.ts'
import { startServer } from '../support/postgres.ts'

const day = 86_400_000
const megabyte = 1024 ** 2
const daysAgo = (days: number) => new Date(Date.now() - days * day)
const dateOf = (time: Date) => time.toISOString().slice(0, 10)

let schedule: TestSchedule
let empty: Report
let report: Report

/** As hosts deliver: three files a day of `app` to berlin, and one that failed at madrid first. */
beforeAll(async () => {
  const server = await startServer()
  schedule = await createSchedule(server, 'pgarch')
  empty = await schedule.asAdmin((admin) => makeReport(admin, daysAgo(7)))
  const app = await addCluster(schedule, 'app', '1')
  const idle = await addCluster(schedule, 'idle', '2')
  await addCluster(schedule, 'paused', '3')
  await addCluster(schedule, 'gone', '4')
  const berlin = await addPath(schedule, 'berlin', [app, idle])
  const madrid = await addPath(schedule, 'madrid', [app], 20)
  const paris = await addPath(schedule, 'paris', [])
  const rome = await addPath(schedule, 'rome', [])
  await schedule.asAdmin((admin) => setPathActive(admin, paris, false))
  await schedule.rows(
    `update pgarch.arch_path_info set lost_time = now() where id = ${rome};
     update pgarch.arch_path_info set capacity_bytes = 1000 * ${megabyte} where id = ${berlin};
     select pgarch.note_probe(${madrid}, 'no pgarch-path', 500 * ${megabyte}, 800 * ${megabyte});
     update pgarch.arch_db_info set switch = 'pause' where name = 'paused';
     update pgarch.arch_db_info set active_status = false where name = 'gone';
     insert into pgarch.arch_db_server (db_id, archive_timeout_seconds)
     select id, 60 from pgarch.arch_db_info where name = 'idle'`,
  )
  let number = 0
  for (let ago = 9; ago >= 0; ago--) {
    for (let file = 0; file < 3; file++) {
      const name = segment(++number)
      const at = { time: new Date(`${dateOf(daysAgo(ago))}T00:00:0${file}Z`) }
      await schedule.asAgent((agent) =>
        deliver(agent, app.member, [
          {
            claim: claimOf(name, name),
            events: [
              ...(file === 0
                ? [eventOf(name, madrid, { ...at, status: 'failed', error: 'no answer' })]
                : []),
              eventOf(name, berlin, {
                ...at,
                storedBytes: 2 * megabyte,
                durationMilliseconds: 100 + file * 100,
              }),
            ],
          },
        ]),
      )
    }
  }
  const waits = segment(++number)
  await schedule.asAgent((agent) =>
    deliver(agent, app.member, [
      {
        claim: claimOf(waits, waits),
        events: [
          eventOf(waits, 0, { pathId: null, status: 'local', storedBytes: 5, fullPath: '/local' }),
        ],
      },
    ]),
  )
  await schedule.asAgent((agent) =>
    deliver(agent, app.member, [{ claim: claimOf(waits, 'other content'), events: [] }]),
  )
  await schedule.rows(`create role watcher login; grant pgarch_monitor to watcher`)
  report = await makeReportAs('watcher', 4)
})

async function makeReportAs(user: string, days: number): Promise<Report> {
  return schedule.asAdmin(async (admin) => {
    await admin.query(`set role ${user}`)
    return await makeReport(admin, daysAgo(days))
  })
}

it('a fleet without anything has a report', () => {
  expect(empty).toMatchObject({
    version: 1,
    since: dateOf(new Date()),
    until: dateOf(new Date()),
    summary: { clusters: { start: 0 }, paths: { inUse: 0 }, capacity: { usedShare: null } },
    days: [{ files: 0 }],
    paths: [],
    oldest: [],
  })
})

it('a member of pgarch_monitor has the summary of clusters, paths, and what they hold', () => {
  expect(report.summary).toEqual({
    clusters: { start: 2, pause: 1, stop: 0 },
    retiredClusters: 1,
    paths: { inUse: 2, disabled: 1, lost: 1 },
    files: 30,
    storedBytes: 60 * megabyte,
    capacity: {
      paths: 2,
      bytes: 1800 * megabyte,
      usedBytes: 360 * megabyte,
      usedShare: 0.2,
      unknownPaths: 0,
    },
    archived: {
      files: 15,
      walBytes: 15 * 16 * megabyte,
      storedBytes: 30 * megabyte,
      failures: 5,
    },
  })
})

it('each day of the period has its volume, today included', () => {
  expect(report.days).toEqual(
    [4, 3, 2, 1, 0].map((ago) => ({
      day: dateOf(daysAgo(ago)),
      files: 3,
      walBytes: 48 * megabyte,
      storedBytes: 6 * megabyte,
      failures: 1,
    })),
  )
})

it('a longer period begins where anything is known', async () => {
  const longer = await makeReportAs('watcher', 300)
  expect(longer.since).toBe(dateOf(daysAgo(9)))
  expect(longer.days).toHaveLength(10)
})

it('a path has its growth, without its first day and today, and when it will be full', () => {
  const [berlin, madrid, paris, rome] = report.paths
  expect(berlin).toMatchObject({
    name: 'berlin',
    active: true,
    lostTime: null,
    clusters: 2,
    files: 30,
    storedBytes: 60 * megabyte,
    capacityBytes: 1000 * megabyte,
    usedBytes: 60 * megabyte,
    growth: { days: 8, bytes: 48 * megabyte },
    growthBytesPerDay: 6 * megabyte,
    archivedFiles: 15,
    failures: 0,
    outlook: { state: 'fills', days: 156 },
  })
  expect(madrid).toMatchObject({
    probeError: 'no pgarch-path',
    freeBytes: 500 * megabyte,
    capacityBytes: 800 * megabyte,
    usedBytes: 300 * megabyte,
    failures: 5,
    lastError: 'no answer',
    outlook: { state: 'unknown', reason: 'few-days' },
  })
  expect(paris).toMatchObject({ active: false, probeTime: null, growth: { days: 0 } })
  expect(rome?.lostTime).toBeInstanceOf(Date)
})

it('lists have failures by cluster, local archives, conflicts, the slowest and the oldest', () => {
  expect(report.clusterFailures).toMatchObject({
    total: 1,
    entries: [
      { cluster: 'app', path: 'madrid', failures: 5, failuresNow: 10, lastError: 'no answer' },
    ],
  })
  expect(report.localArchives).toMatchObject({
    total: 1,
    entries: [{ cluster: 'app', host: 'app-host', files: 1, storedBytes: 5 }],
  })
  expect(report.conflicts).toMatchObject({
    total: 1,
    entries: [{ cluster: 'app', walName: segment(31), path: null, host: 'app-host', times: 1 }],
  })
  expect(report.slowest).toEqual([
    {
      cluster: 'app',
      path: 'berlin',
      files: 15,
      averageMilliseconds: 200,
      longestMilliseconds: 300,
    },
  ])
  expect(report.oldest).toMatchObject([
    { cluster: 'idle', walName: null, time: null, archiveTimeoutSeconds: 60 },
    { cluster: 'app', walName: segment(30), archiveTimeoutSeconds: null },
  ])
})

it('all of it is of one moment, whatever is recorded meanwhile', async () => {
  let number = 0
  const { summary, oldest } = await schedule.asAdmin((admin) => {
    const query: typeof admin.query = async (sql, parameters) => {
      await schedule.rows(
        `insert into pgarch.arch_db_info (name, system_identifier, wal_segment_size)
         values ('meanwhile-${++number}', 1, 16777216)`,
      )
      return await admin.query(sql, parameters)
    }
    return makeReport({ ...admin, query }, daysAgo(4))
  })
  expect(oldest).toHaveLength(summary.clusters.start)
  await schedule.rows(`delete from pgarch.arch_db_info where name like 'meanwhile-%'`)
})

it('a list is cut off, and says how many there are', async () => {
  await schedule.rows(
    `insert into pgarch.arch_db_info (name, system_identifier, wal_segment_size)
     select 'c' || i, 100 + i, 16777216 from generate_series(1, 30) i;
     insert into pgarch.arch_daily (day, db_id, path_id, files, wal_bytes, stored_bytes, duration,
                                    longest, failures)
     select (now() at time zone 'UTC')::date, id, 1, 0, 0, 0, '0', '0', 7 from pgarch.arch_db_info
     where name like 'c%';
     insert into pgarch.arch_db_status (db_id, last_wal_name, last_archived_time)
     select id, '${segment(1)}', now() - substr(name, 2)::int * interval '1 year'
     from pgarch.arch_db_info where name like 'c%'`,
  )
  const { clusterFailures, oldest } = await makeReportAs('watcher', 4)
  expect(clusterFailures.total).toBe(31)
  expect(clusterFailures.entries).toHaveLength(20)
  expect(oldest).toHaveLength(20)
  expect(oldest.slice(0, 3).map(({ cluster }) => cluster)).toEqual(['idle', 'c30', 'c29'])
})

it('what is removed from a path is no growth', async () => {
  await schedule.rows(
    `insert into pgarch.arch_daily_removed (day, db_id, path_id, files, stored_bytes)
     select (now() at time zone 'UTC')::date - ago, db_id, 1, 1, ${8 * megabyte}
     from pgarch.arch_member, generate_series(0, 2) ago where host = 'app-host'`,
  )
  const { paths } = await makeReportAs('watcher', 4)
  expect(paths[0]).toMatchObject({
    growth: { days: 8, bytes: 32 * megabyte },
    outlook: { state: 'fills', days: 235 },
  })
})

it('a path that was idle for more than a week has its growth since then', async () => {
  const growthWithFilesOf = async (ago: number) => {
    await schedule.rows(
      `insert into pgarch.arch_daily
         (day, db_id, path_id, files, wal_bytes, stored_bytes, duration, longest, failures)
       select (now() at time zone 'UTC')::date - ${ago}, db_id, 1, 1, 1, 7, '1 s', '1 s', 0
       from pgarch.arch_member where host = 'app-host'`,
    )
    return (await makeReportAs('watcher', 4)).paths[0]?.growth
  }
  expect(await growthWithFilesOf(17)).toEqual({ days: 8, bytes: 32 * megabyte })
  expect(await growthWithFilesOf(16)).toEqual({ days: 16, bytes: 38 * megabyte + 7 })
})
