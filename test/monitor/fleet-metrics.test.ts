import { execFileSync } from 'node:child_process'
import { beforeAll, expect, test } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import type { Collected } from '../../src/monitor/collected.ts'
import { exposition } from '../../src/monitor/exposition.ts'
import { collectFleet } from '../../src/monitor/fleet-metrics.ts'
import { createSchedule, type TestSchedule } from '../schedule/fixture.ts'
import { findProgram } from '../support/parts.ts'
import { startServer } from '../support/postgres.ts'
import { samplesOf } from './samples.ts'

let schedule: TestSchedule
beforeAll(async () => {
  schedule = await createSchedule(await startServer(), 'pgarch')
  await schedule.rows(
    `insert into pgarch.arch_path_info (name, kind, root_path)
     select 'path' || i, 'local', '/archive/' || i from generate_series(1, 100) i`,
  )
})

/** Clusters up to this number, on two paths each; none of their hosts was ever seen. */
async function growTo(clusters: number): Promise<void> {
  await schedule.rows(
    // Without the triggers, which take their time for each row.
    `set session_replication_role = replica;
     with made as (
       insert into pgarch.arch_db_info (name, system_identifier, wal_segment_size, create_time)
       select 'c' || i, i, 16777216, now() - interval '2 hours'
       from generate_series((select count(*) from pgarch.arch_db_info) + 1, ${clusters}) i
       returning id, system_identifier::int as number
     ), members as (
       insert into pgarch.arch_member (db_id, host, data_directory, credential_sha256)
       select id, 'host', '/data', sha256(id::text::bytea) from made
     ), used as (
       select made.id, p.id as path_id from made
       join pgarch.arch_path_info p on p.name in ('path' || 1 + number % 100, 'path' || 1 + number % 99)
     ), routes as (
       insert into pgarch.arch_path_map (db_id, path_id, priority) select id, path_id, 1 from used
     ), uses as (
       insert into pgarch.arch_path_use (db_id, path_id, files, stored_bytes)
       select id, path_id, 10, 1000 from used
     ), statuses as (
       insert into pgarch.arch_path_status (db_id, path_id, last_stored_time, failures)
       select id, path_id, now(), 0 from used
     )
     insert into pgarch.arch_daily
     select (now() at time zone 'UTC')::date, id, path_id, 1, 1, 1, '1s', '1s', 0 from used`,
  )
  await schedule.rows('vacuum analyze')
}

const collect = (): Promise<Collected> => collectFleet(schedule.asAdmin, 100)

test('ten thousand clusters that all need attention are as many series as some hundred', async () => {
  await growTo(200)
  const few = samplesOf((await collect()).families)
  expect(few['pgarch_clusters{severity="warning",switch="start"}']).toBe(200)
  await growTo(10_000)
  const { families, troubles } = await collect()
  expect(troubles).toEqual([])
  const many = samplesOf(families)
  expect(many['pgarch_clusters{severity="warning",switch="start"}']).toBe(10_000)
  expect(many.pgarch_clusters_untold).toBe(9_900)
  expect(Object.keys(many)).toHaveLength(Object.keys(few).length)
  const sum = (name: string) =>
    Object.entries(many).reduce(
      (sum, [series, value]) => sum + (series.startsWith(name) ? value : 0),
      0,
    )
  const [uses] = await schedule.rows<{ files: number }>(
    'select sum(files)::int as files from pgarch.arch_path_use',
  )
  expect(sum('pgarch_path_files{')).toBe(uses?.files)
  if (findProgram('promtool') !== undefined) {
    const input = exposition(families)
    expect(execFileSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })).toBe('')
  }
})

test('a shipper that has ended by itself is behind with nothing', async () => {
  await schedule.rows(
    `insert into pgarch.arch_shipping
       (db_id, member_id, shipper, timeline, shipped_lsn, flush_lsn, lease_end)
     select id, id, id, 1, '0/1000', '0/3000', case name when 'c1' then now() end
     from pgarch.arch_db_info where name in ('c1', 'c10')`,
  )
  const samples = samplesOf((await collect()).families)
  const lag = (cluster: string) =>
    samples[`pgarch_cluster_shipping_lag_bytes{cluster="${cluster}"}`]
  expect({ c1: lag('c1'), c10: lag('c10') }).toEqual({ c1: 0x2000, c10: undefined })
})

test('what was found of a path is told', async () => {
  await schedule.rows(
    `insert into pgarch.arch_path_probe (path_id, probe_time, error)
     select id, now(), 'not mounted' from pgarch.arch_path_info where name = 'path7'`,
  )
  const samples = samplesOf((await collect()).families)
  expect(samples['pgarch_path_severity{path="path7"}']).toBe(2)
  expect(samples['pgarch_path_severity{path="path8"}']).toBe(0)
})

test('when the scheduling database does not answer, that alone is told', async () => {
  const failure = new PgarchError('unreachable', 'no answer')
  const { families, troubles } = await collectFleet(() => Promise.reject(failure), 100)
  expect(troubles).toEqual([failure])
  expect(samplesOf(families)).toEqual({
    pgarch_schedule_up: 0,
    pgarch_schedule_read_timestamp_seconds: expect.any(Number),
    pgarch_schedule_read_duration_seconds: expect.any(Number),
  })
})

test.each([new PgarchError('usage', 'no URL'), new TypeError('a bug')])(
  'what waiting cannot heal is no answer: %s',
  async (failure) => {
    await expect(collectFleet(() => Promise.reject(failure), 100)).rejects.toBe(failure)
  },
)
