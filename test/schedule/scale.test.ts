import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { fetchRoute, locate } from '../../src/schedule/agent.ts'
import { queryDatabaseHealth, queryPathHealth } from '../../src/schedule/health.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import { startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
} from './fixture.ts'

const large = ['arch_copy', 'arch_db_info', 'arch_file', 'arch_member', 'arch_path_map']

test('in a large fleet pushes and fetches read no table from end to end, and updates are HOT', async () => {
  const schedule = await createSchedule(await startServer(), 'pgarch')
  const cluster = await addCluster(schedule, 'one', '55')
  const path = await addPath(schedule, 'path', [cluster])
  await schedule.rows(
    `insert into pgarch.arch_db_info (name, system_identifier, wal_segment_size)
     select 'c' || i, 1000 + i, 16777216 from generate_series(1, 5000) i;
     insert into pgarch.arch_member (db_id, host, data_directory, credential_sha256)
     select id, 'host', '/data', sha256(id::text::bytea)
     from pgarch.arch_db_info where name <> 'one';
     insert into pgarch.arch_path_map (db_id, path_id, priority)
     select id, ${path}, 1 from pgarch.arch_db_info where name <> 'one';
     insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, member_id)
     select m.db_id, '0000000100000000' || lpad(upper(to_hex(i)), 8, '0'), m.credential_sha256,
            16777216, m.id
     from (select * from pgarch.arch_member limit 500) m, generate_series(10, 60) i;
     insert into pgarch.arch_copy (db_id, wal_name, path_id, stored_bytes)
     select db_id, wal_name, ${path}, 5 from pgarch.arch_file`,
  )
  await schedule.rows('vacuum analyze')
  await schedule.rows('select pg_stat_reset()')
  await schedule.asAgent(async (s) => {
    const reference = { systemIdentifier: '55', clusterName: null, fingerprint: null }
    for (const number of Array(20).keys()) {
      const name = segment(number)
      // Half of them meet a conflict.
      await fetchRoute(s, cluster.member, [claimOf(name, 'content')])
      await recordCopies(s, cluster.member, [eventOf(name, path)])
      await locate(s, reference, name)
    }
  })
  // A backend reports what it did when it ends.
  const sql = `select relname, seq_tup_read::int, idx_scan::int, n_tup_upd = n_tup_hot_upd as hot
               from pg_stat_user_tables where schemaname = 'pgarch' and relname = any ($1)
               order by relname`
  let tables = await schedule.rows<{ idx_scan: number }>(sql, [large])
  while (tables.some(({ idx_scan }) => idx_scan < 20)) {
    await sleep(50)
    tables = await schedule.rows(sql, [large])
  }
  expect(tables).toMatchObject(large.map((relname) => ({ relname, seq_tup_read: 0, hot: true })))
  const updated = `select relname, n_tup_upd >= 19 as often, n_tup_upd = n_tup_hot_upd as hot
                   from pg_stat_user_tables where relname = any ($1) order by relname`
  const sums = ['arch_daily', 'arch_db_status', 'arch_path_status', 'arch_path_use']
  expect(await schedule.rows(updated, [sums])).toEqual(
    sums.map((relname) => ({ relname, often: true, hot: true })),
  )
})

test('whoever monitors a large fleet reads neither its files nor its log', async () => {
  const schedule = await createSchedule(await startServer(), 'pgarch')
  const paths = [await addPath(schedule, 'one', []), await addPath(schedule, 'other', [])]
  await schedule.rows(
    `insert into pgarch.arch_db_info (name, system_identifier, wal_segment_size)
     select 'c' || i, i, 16777216 from generate_series(1, 1000) i;
     insert into pgarch.arch_path_map (db_id, path_id, priority)
     select id, ${paths[0]}, 1 from pgarch.arch_db_info;
     insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, member_id)
     select id, '0000000100000000' || lpad(upper(to_hex(i)), 8, '0'), sha256(''), 16777216, id
     from pgarch.arch_db_info, generate_series(10, 29) i;
     insert into pgarch.arch_copy (db_id, wal_name, path_id, stored_bytes)
     select db_id, wal_name, ${paths[0]}, 5 from pgarch.arch_file;
     insert into pgarch.arch_remote_log
       (db_id, event_id, member_id, wal_name, path_id, status, create_time)
     select db_id, gen_random_uuid(), member_id, wal_name, ${paths[0]}, true, now()
     from pgarch.arch_file`,
  )
  await schedule.rows('vacuum analyze')
  await schedule.rows('select pg_stat_reset()')
  const [clusters, health] = await schedule.asAdmin(async (s) => [
    await queryStatus(s, null, { inBrief: true }),
    await queryPathHealth(s, null),
    await queryDatabaseHealth(s),
  ])
  expect(clusters).toHaveLength(1000)
  expect(health[0]).toMatchObject({ name: 'one', files: 20_000, storedBytes: 100_000 })
  const read = `select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows
                from pg_stat_user_tables where relname ~ $1`
  // A backend reports what it did when it ends.
  await expect
    .poll(async () => (await schedule.rows(read, ['^arch_path_use$']))[0]?.rows, {
      timeout: 60_000,
    })
    .toBeGreaterThan(0)
  expect(await schedule.rows(read, ['^arch_(copy|file|remote_log)'])).toEqual([{ rows: 0 }])
})
