import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { deliver } from '../../src/schedule/agent.ts'
import { withSchedule } from '../../src/schedule/connect.ts'
import { migrate, readMigrations } from '../../src/schedule/migrate.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import { claimOf, eventOf, segment, sqlFolder } from './fixture.ts'

const clusters = 4
const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

/** As a version before the sums left it: files on two paths, failures before and after, a local one. */
const data = `
  insert into pgarch.arch_path_info (name, kind, root_path)
  select 'p' || i, 'local', '/p' || i from generate_series(1, 2) i;
  insert into pgarch.arch_db_info (id, name, system_identifier, wal_segment_size)
  select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'c' || i, i, 16777216
  from generate_series(1, ${clusters}) i;
  insert into pgarch.arch_member (id, db_id, host, data_directory, credential_sha256)
  select id, id, 'h', '/d', sha256('secret') from pgarch.arch_db_info;
  insert into pgarch.arch_copy (db_id, wal_name, path_id, stored_bytes)
  select d.id, '0000000100000000' || lpad(to_hex(s), 8, '0'), p.id, 100 + s
  from pgarch.arch_db_info d, pgarch.arch_path_info p, generate_series(16, 25) s;
  insert into pgarch.arch_copy (db_id, wal_name, member_id, stored_bytes)
  select id, '0000000100000000000000A0', id, 1 from pgarch.arch_db_info;
  insert into pgarch.arch_remote_log (db_id, event_id, member_id, wal_name, path_id, wal_size_bytes,
    stored_bytes, duration, status, error, create_time)
  select d.id, gen_random_uuid(), d.id, '0000000100000000' || lpad(to_hex(s), 8, '0'), p.id, 1000, 100 + s,
         interval '1 second' * s, s < 23, case when s >= 23 then 'failure ' || s end,
         now() - interval '10 days' + s * interval '6 hours'
  from pgarch.arch_db_info d, pgarch.arch_path_info p, generate_series(16, 25) s;
  insert into pgarch.arch_remote_log (db_id, event_id, member_id, wal_name, path_id, status, error,
    create_time)
  select d.id, gen_random_uuid(), d.id, '000000010000000000000001', 1, false, 'long ago',
         now() - interval '30 days'
  from pgarch.arch_db_info d`

test.each(serverVersions())(
  'an upgrade on PostgreSQL $major counts what is there, while hosts record and nothing fails',
  async (version) => {
    const server = await startServer({ version })
    const migrations = await readMigrations(sqlFolder)
    const init = (wanted: typeof migrations) =>
      withSchedule(
        { url: server.url(), timeoutMilliseconds: 60_000, purpose: 'init' },
        (schedule) => migrate(schedule, wanted),
      )
    await init(migrations.slice(0, 7))
    await server.query(data)

    let isOver = false
    const archive = (number: number) =>
      withSchedule(
        // As the schema has no version that this program knows before it is upgraded.
        {
          url: server.url('postgres', 'pgarch_agent'),
          timeoutMilliseconds: 60_000,
          purpose: 'init',
        },
        async (schedule) => {
          let n = 1000 * (number + 1)
          while (!isOver) {
            const name = segment(++n)
            const entry = {
              claim: claimOf(name, name),
              events: [1, 2].map((path) => eventOf(name, path, { storedBytes: 7 })),
            }
            const member = { memberId: uuid((number % clusters) + 1), credential: 'secret' }
            await deliver(schedule, member, [entry], 'at once')
          }
        },
      )
    const hosts = Array.from({ length: clusters * 2 }, (_, number) => archive(number))
    await sleep(300)
    try {
      expect(await init(migrations)).toMatchObject({ from: 7 })
      await sleep(300)
    } finally {
      isOver = true
      await Promise.all(hosts)
    }

    const uses = await server.query(
      `select db_id, path_id, files, stored_bytes from pgarch.arch_path_use order by 1, 2`,
    )
    expect(uses).toHaveLength(clusters * 2)
    expect(uses).toEqual(
      await server.query(
        `select db_id, path_id, count(*) as files, sum(stored_bytes)::bigint as stored_bytes
       from pgarch.arch_copy where path_id is not null group by 1, 2 order by 1, 2`,
      ),
    )
    const days = await server.query(
      `select day, db_id, path_id, files, wal_bytes, stored_bytes, duration, longest, failures
     from pgarch.arch_daily order by 1, 2, 3`,
    )
    expect(days).toEqual(
      await server.query(
        `select (create_time at time zone 'UTC')::date as day, db_id, path_id,
              count(*) filter (where status) as files,
              coalesce(sum(wal_size_bytes) filter (where status), 0)::bigint as wal_bytes,
              coalesce(sum(stored_bytes) filter (where status), 0)::bigint as stored_bytes,
              coalesce(sum(duration) filter (where status), '0') as duration,
              coalesce(max(duration) filter (where status), '0') as longest,
              count(*) filter (where not status) as failures
       from (select distinct on (db_id, path_id, wal_name, status) * from pgarch.arch_remote_log
             order by db_id, path_id, wal_name, status, create_time) l
       group by 1, 2, 3 order by 1, 2, 3`,
      ),
    )
  },
)

test('an upgrade knows what fails since when', async () => {
  const server = await startServer()
  const migrations = await readMigrations(sqlFolder)
  const init = (wanted: typeof migrations) =>
    withSchedule({ url: server.url(), timeoutMilliseconds: 60_000, purpose: 'init' }, (schedule) =>
      migrate(schedule, wanted),
    )
  await init(migrations.slice(0, 7))
  await server.query(data)
  await init(migrations)
  const states = await server.query(
    `select distinct path_id, failures::int, last_error,
            round(extract(epoch from now() - last_stored_time) / 3600)::int as stored,
            round(extract(epoch from now() - last_failure_time) / 3600)::int as failed
     from pgarch.arch_path_status order by 1`,
  )
  const state = {
    failures: 3,
    last_error: 'failure 25',
    stored: 240 - 22 * 6,
    failed: 240 - 25 * 6,
  }
  expect(states).toEqual([
    { path_id: 1, ...state },
    { path_id: 2, ...state },
  ])
})
