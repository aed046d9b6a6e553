import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { retireCluster } from '../../src/schedule/clusters.ts'
import type { Schedule } from '../../src/schedule/connect.ts'
import { queryDatabaseHealth, queryPathHealth } from '../../src/schedule/health.ts'
import { enrolMember } from '../../src/schedule/members.ts'
import { setPathActive } from '../../src/schedule/paths.ts'
import { setRoute } from '../../src/schedule/routes.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import type { CopyEvent } from '../../src/schedule/types.ts'
import { folderForServers, serverVersions, startFrom, startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
  type TestSchedule,
} from './fixture.ts'

const minute = 60_000
const ago = (minutes: number) => new Date(Date.now() - minutes * minute)

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'health')
  })
  type Cluster = Awaited<ReturnType<typeof addCluster>>
  const record = (cluster: Cluster, ...events: CopyEvent[]) =>
    schedule.asAgent((s) => recordCopies(s, cluster.member, events))

  test('a path has the sums of all clusters, and the latest of what they met', async () => {
    const [one, other, gone] = await Promise.all(
      ['one', 'other', 'gone'].map((name, n) => addCluster(schedule, name, String(n + 1))),
    )
    if (!one || !other || !gone) throw new Error('no clusters')
    const path = await addPath(schedule, 'shared', [one, other, gone])
    const failed = (minutes: number, error: string) =>
      eventOf(segment(9), path, { status: 'failed', storedBytes: null, error, time: ago(minutes) })
    await record(one, eventOf(segment(1), path, { time: ago(90), storedBytes: 5 }))
    await record(one, failed(50, 'the later one'))
    await record(other, eventOf(segment(1), path, { time: ago(70), storedBytes: 6 }))
    await record(other, failed(60, 'the earlier one'))
    await record(gone, failed(70, 'retired'))
    await schedule.asAdmin((s) => retireCluster(s, gone.fingerprint))
    const health = async () => (await schedule.asAdmin((s) => queryPathHealth(s, path)))[0]
    const first = await health()
    expect(first).toMatchObject({
      ...{ name: 'shared', kind: 'local', active: true, lostTime: null, clusters: 2 },
      ...{ files: 2, storedBytes: 11, lastError: 'the later one', failingClusters: 2 },
    })
    const minutesAgo = (time: Date | null | undefined) =>
      Math.round(((first?.asOf.getTime() ?? 0) - (time?.getTime() ?? 0)) / minute)
    expect([minutesAgo(first?.lastStoredTime), minutesAgo(first?.lastFailureTime)]).toEqual([
      70, 50,
    ])

    // Who no longer uses it has nothing to say of it.
    const use = (active: boolean) =>
      schedule.rows('update pgarch.arch_path_map set active_status = $2 where db_id = $1', [
        other.fingerprint,
        active,
      ])
    await use(false)
    expect(await health()).toMatchObject({ clusters: 1, failingClusters: 1 })
    await use(true)

    await record(one, eventOf(segment(2), path, { time: ago(40) }))
    expect(await health()).toMatchObject({ failingClusters: 1 })
    // Who has not tried for a day may find it well.
    await record(other, eventOf(segment(2), path, { time: ago(30) }))
    await schedule.rows(
      `update pgarch.arch_path_status
       set failures = 1, last_failure_time = now() - interval '25 hours' where path_id = $1`,
      [path],
    )
    expect(await health()).toMatchObject({ failingClusters: 0 })
    const all = await schedule.asAdmin((s) => queryPathHealth(s, null))
    expect(all.map(({ name }) => name)).toEqual(['shared'])
  })

  test('a cluster in brief is what it is, without what is well', async () => {
    const cluster = await addCluster(schedule, 'brief', '77')
    const [good, bad, off] = await Promise.all(
      ['good', 'bad', 'off'].map((name) => addPath(schedule, name, [])),
    )
    if (!good || !bad || !off) throw new Error('no paths')
    await schedule.asAdmin(async (s) => {
      for (const [n, path] of [good, bad, off].entries()) {
        await setRoute(s, cluster.fingerprint, path, 10 - n)
      }
      await setPathActive(s, off, false)
      await enrolMember(s, cluster.fingerprint, { host: 'standby', dataDirectory: '/data' })
      await s.query('update pgarch.arch_member set last_seen = now() where id = $1', [
        cluster.member.memberId,
      ])
    })
    await record(
      cluster,
      eventOf(segment(1), good),
      eventOf(segment(1), bad, { status: 'failed', error: 'x' }),
    )
    const read = async (inBrief: boolean) =>
      (await schedule.asAdmin((s) => queryStatus(s, null, { inBrief }))).find(
        ({ name }) => name === 'brief',
      )
    const full = await read(false)
    expect(full?.route.map(({ path, active }) => [path, active])).toEqual([
      ['good', true],
      ['bad', true],
      ['off', false],
    ])
    expect(full?.members).toHaveLength(2)
    expect(full).toMatchObject({ activePaths: 2, hosts: 2, hostsSeen: 1 })
    const brief = await read(true)
    expect(brief).toEqual({
      ...full,
      asOf: brief?.asOf,
      route: [expect.objectContaining({ path: 'bad', failures: 1, lastError: 'x' })],
      members: [],
    })
  })

  test('rows in the default partition can be moved as documented, and count no further', async () => {
    const moved = await createSchedule(await startServer({ version }), 'moved')
    const cluster = await addCluster(moved, 'stray', '78')
    const path = await addPath(moved, 'stray', [cluster])
    const month = (offset: number) => {
      const now = new Date()
      return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 2))
    }
    const old = month(-3)
    await moved.rows(
      `insert into pgarch.arch_remote_log
         (db_id, event_id, member_id, wal_name, path_id, status, stored_bytes, create_time)
       select $1, gen_random_uuid(), $2, $3, $4, true, 7, t
       from unnest(array[$5, now()]::timestamptz[]) t`,
      [cluster.fingerprint, cluster.member.memberId, segment(1), path, old],
    )
    const sums = () => moved.rows('select * from pgarch.arch_daily order by day')
    const before = await sums()
    const health = () => moved.asAdmin((s) => queryDatabaseHealth(s))
    expect((await health()).hasStrayLog).toBe(true)
    const documented = readFileSync(new URL('../../docs/monitoring.md', import.meta.url), 'utf8')
    const [, sql = ''] =
      /```sql\n(begin;\n[^`]*arch_remote_log_default[^`]*)```/.exec(documented) ?? []
    await moved.asAdmin(async (s) => {
      await s.query('set role pgarch_admin')
      await s.query(sql)
    })
    expect((await health()).hasStrayLog).toBe(false)
    expect(await sums()).toEqual(before)
    const where = await moved.rows(
      'select tableoid::regclass::text as name from pgarch.arch_remote_log order by create_time',
    )
    const names = [old, new Date()].map(
      (time) => `pgarch.arch_remote_log_${time.toISOString().slice(0, 7).replace('-', '_')}`,
    )
    expect(where).toEqual(names.map((name) => ({ name })))
    await moved.asAgent((s) => recordCopies(s, cluster.member, [eventOf(segment(2), path)]))
    expect(await sums()).not.toEqual(before)
  })

  test('the scheduling database knows itself; less of it, who may see less', async () => {
    const read = (role: string) =>
      schedule.asAdmin(async (s) => {
        await s.query(`set role ${role}`)
        return await queryDatabaseHealth(s)
      })
    const asMonitor = await read('pgarch_monitor')
    expect(asMonitor).toMatchObject({
      ...{ seesAll: false, oldestTransaction: null, standbys: null, replayLag: null },
      ...{ connections: 1, connectionLimit: 97, missingPartitions: [], hasStrayLog: false },
    })
    expect(asMonitor.size).toBeGreaterThan(1_000_000)
    expect(await read('postgres')).toMatchObject({ seesAll: true, standbys: 0, standbyLag: null })

    await schedule.asAdmin(async (s) => {
      await s.query('begin')
      await s.query('select pg_sleep(0.2)')
      const { oldestTransaction, connections } = await read('postgres')
      expect(oldestTransaction).toBeGreaterThan(0.1)
      expect(connections).toBe(2)
      await s.query('rollback')
    })
    const [month] = await schedule.rows<{ name: string }>(
      `select to_char(now() at time zone 'UTC', 'YYYY_MM') as name`,
    )
    await schedule.rows(`drop table pgarch.arch_remote_log_${month?.name}`)
    await schedule.rows(
      `insert into pgarch.arch_remote_log
         (db_id, event_id, member_id, wal_name, path_id, status, create_time)
       values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 1, true, now())`,
      [segment(1)],
    )
    expect(await read('postgres')).toMatchObject({
      missingPartitions: [month?.name],
      hasStrayLog: true,
    })
  })
})

test('a standby that has lost its primary is behind, though it has replayed all that it got', async () => {
  const primary = await startServer()
  const { rows } = await createSchedule(primary, 'lost')
  await rows('create table pgarch.something ()')
  await primary.stop()
  const copy = join(folderForServers('standby'), 'data')
  execFileSync('cp', ['-a', primary.dataDirectory, copy])
  const standby = await startFrom(copy, { signal: 'standby' })
  const lag = async () => {
    const query = (sql: string) => standby.query(sql, [], 'lost')
    return (await queryDatabaseHealth({ query } as unknown as Schedule)).replayLag
  }
  // It has replayed no commit of its own yet, and so cannot tell.
  expect(await lag()).toBeNaN()
})
