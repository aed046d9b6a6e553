import { beforeAll, describe, expect, test } from 'vitest'
import { fetchRoute } from '../../src/schedule/agent.ts'
import type { Cluster } from '../../src/schedule/clusters.ts'
import { retireCluster } from '../../src/schedule/clusters.ts'
import { listOpenConflicts } from '../../src/schedule/conflicts.ts'
import { queryLog } from '../../src/schedule/log.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import type { CopyEvent, Membership } from '../../src/schedule/types.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
  sha256,
  type TestSchedule,
} from './fixture.ts'

const day = 86_400_000

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'pgarch')
  })
  const record = (cluster: { member: Membership }, ...events: CopyEvent[]) =>
    schedule.asAgent((s) => recordCopies(s, cluster.member, events))
  const logOf = ({ fingerprint }: Cluster, failedOnly = false) =>
    schedule.asAdmin((s) => queryLog(s, { fingerprint, failedOnly, since: null, limit: 100 }))
  const copiesOf = ({ fingerprint }: Cluster) =>
    schedule.rows(
      `select wal_name, path_id, stored_bytes from pgarch.arch_copy where db_id = $1
       order by wal_name, path_id`,
      [fingerprint],
    )
  const statusOf = async ({ fingerprint }: Cluster) =>
    (await schedule.asAdmin((s) => queryStatus(s, fingerprint)))[0]

  test('every try is logged, and what was stored is a copy', async () => {
    const cluster = await addCluster(schedule, 'logged')
    const first = await addPath(schedule, 'logged-first', [cluster], 50)
    const second = await addPath(schedule, 'logged-second', [cluster], 5)
    const time = new Date(Date.now() - 5000)
    const failed = eventOf(segment(1), first, { status: 'failed', error: 'no space', time })
    const stored = eventOf(segment(1), second, { durationMilliseconds: 1234 })
    const again = eventOf('00000002.history', second, { status: 'already-stored' })
    const version = await record(cluster, failed, stored, again)
    expect(version).toBe(3)
    expect(await copiesOf(cluster)).toEqual([
      { wal_name: segment(1), path_id: second, stored_bytes: '5000000' },
      { wal_name: '00000002.history', path_id: second, stored_bytes: '5000000' },
    ])
    expect(await logOf(cluster)).toHaveLength(3)
    expect(await logOf(cluster, true)).toMatchObject([
      {
        time,
        clusterName: 'logged',
        walName: segment(1),
        pathName: 'logged-first',
        host: 'logged-host',
        stored: false,
        error: 'no space',
        hostTime: null,
      },
    ])
    const paths = (await logOf(cluster)).map(({ fullPath }) => fullPath)
    const root = `/archive/${cluster.fingerprint}`
    expect(new Set(paths)).toEqual(
      new Set([`${root}/0000000100000000/${segment(1)}.zst`, `${root}/00000002.history.zst`]),
    )
    const entry = (await logOf(cluster)).find(({ durationMilliseconds: d }) => d === 1234)
    expect(entry).toMatchObject({ walSize: 16_777_216, storedBytes: 5_000_000, stored: true })
  })

  test('an event delivered many times, and at once, counts once; also with an absurd time', async () => {
    const cluster = await addCluster(schedule, 'repeated')
    const path = await addPath(schedule, 'repeated-path', [cluster])
    const events = [
      eventOf(segment(1), path),
      eventOf(segment(2), path, { status: 'failed', error: 'x' }),
      eventOf(segment(3), path, { status: 'conflict', error: 'y' }),
      eventOf(segment(4), path, { time: new Date(0) }),
    ]
    await Promise.all(Array.from({ length: 6 }, () => record(cluster, ...events, ...events)))
    expect(await logOf(cluster)).toHaveLength(4)
    expect(await statusOf(cluster)).toMatchObject({ openConflicts: 1 })
    const conflicts = await schedule.asAdmin((s) => listOpenConflicts(s, cluster.fingerprint))
    expect(conflicts).toMatchObject([{ walName: segment(3), pathName: 'repeated-path', times: 1 }])
    expect(await copiesOf(cluster)).toHaveLength(2)
  })

  test('a conflict on a path names the claimed content as the one refused', async () => {
    const cluster = await addCluster(schedule, 'conflicting')
    const path = await addPath(schedule, 'conflicting-path', [cluster])
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, [claimOf(segment(1), 'ours')]))
    await record(cluster, eventOf(segment(1), path, { status: 'conflict', error: 'other' }))
    const conflicts = await schedule.asAdmin((s) => listOpenConflicts(s, cluster.fingerprint))
    expect(conflicts).toMatchObject([
      { refusedSha256: sha256('ours'), pathName: 'conflicting-path' },
    ])
    expect(await copiesOf(cluster)).toEqual([])
  })

  test.each([
    ['1970', new Date(0)],
    ['far in the future', new Date(Date.now() + 400 * day)],
    ['the year 9999', new Date(Date.UTC(9999, 11, 31))],
  ])('a host whose clock says %s is recorded now, and its time kept', async (name, time) => {
    const cluster = await addCluster(schedule, `clock-${time.getTime()}`)
    const path = await addPath(schedule, `clock-path-${time.getTime()}`, [cluster])
    await record(cluster, eventOf(segment(1), path, { time }))
    const [entry] = await logOf(cluster)
    expect(entry, name).toMatchObject({ hostTime: time })
    expect(Math.abs((entry?.time.getTime() ?? 0) - Date.now())).toBeLessThan(day)
  })

  test('partitions are made as months need them, and one that cannot be is the default', async () => {
    const cluster = await addCluster(schedule, 'partitioned')
    const path = await addPath(schedule, 'partitioned-path', [cluster])
    const month = (offset: number) => {
      const now = new Date()
      return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1))
    }
    const partition = (time: Date) =>
      `pgarch.arch_remote_log_${time.toISOString().slice(0, 7).replace('-', '_')}`
    const where = async () => {
      const sql = `select create_time, tableoid::regclass::text as partition
                   from pgarch.arch_remote_log where db_id = $1 order by create_time`
      return (await schedule.rows(sql, [cluster.fingerprint])).map((row) => row.partition)
    }
    // The first instant of a month belongs to it, in UTC.
    await record(cluster, eventOf(segment(1), path, { time: month(-3) }))
    await record(cluster, eventOf(segment(2), path, { time: new Date(month(-3).getTime() - 1) }))
    expect(await where()).toEqual([partition(month(-4)), partition(month(-3))])

    const next = partition(month(1))
    const has = (name: string) => schedule.rows('select to_regclass($1) is not null as has', [name])
    expect(await has(next)).toEqual([{ has: true }])
    await schedule.rows(`drop table ${next}`)
    await record(cluster)
    expect(await has(next)).toEqual([{ has: true }])

    // Rows of that month in the default partition keep it from being made; nothing is lost.
    const stray = `insert into pgarch.arch_remote_log_default
      (db_id, event_id, member_id, wal_name, path_id, status, create_time)
      values ($1, gen_random_uuid(), $2, $3, $4, true, $5)`
    const { memberId } = cluster.member
    await schedule.rows(stray, [cluster.fingerprint, memberId, segment(3), path, month(-6)])
    await record(cluster, eventOf(segment(4), path, { time: month(-6) }))
    expect((await where()).slice(0, 2)).toEqual(Array(2).fill('pgarch.arch_remote_log_default'))
  })

  test('status counts failures since the last success, whatever the order of delivery', async () => {
    const cluster = await addCluster(schedule, 'watched')
    const path = await addPath(schedule, 'watched-path', [cluster])
    const base = Date.now() - 60_000
    const at = (seconds: number) => new Date(base + seconds * 1000)
    const fail = (seconds: number) =>
      eventOf(segment(9), path, { status: 'failed', error: `at ${seconds}`, time: at(seconds) })
    const store = (seconds: number) => eventOf(segment(seconds), path, { time: at(seconds) })

    await record(cluster, fail(1), fail(2))
    expect(await statusOf(cluster)).toMatchObject({
      failures: 2,
      lastWalName: null,
      lastError: 'at 2',
    })
    await record(cluster, store(3), fail(4))
    expect(await statusOf(cluster)).toMatchObject({ failures: 1, lastWalName: segment(3) })
    await record(cluster, store(2), fail(1))
    const late = {
      failures: 1,
      lastWalName: segment(3),
      lastError: 'at 4',
      lastArchivedTime: at(3),
    }
    expect(await statusOf(cluster)).toMatchObject(late)
    await record(cluster, store(5))
    expect(await statusOf(cluster)).toMatchObject({ failures: 0, lastWalName: segment(5) })
  })

  test('a path that was removed, and a cluster that was retired, are recorded still', async () => {
    const cluster = await addCluster(schedule, 'late')
    await schedule.asAdmin((s) => retireCluster(s, cluster.fingerprint))
    await record(cluster, eventOf(segment(1), 987_654))
    expect(await logOf(cluster)).toMatchObject([{ pathName: null, stored: true }])
    expect(await copiesOf(cluster)).toEqual([])
  })

  test('a copy that was there already is not written again', async () => {
    const cluster = await addCluster(schedule, 'calm')
    const path = await addPath(schedule, 'calm-path', [cluster])
    const version = () =>
      schedule.rows('select xmin::text from pgarch.arch_copy where db_id = $1', [
        cluster.fingerprint,
      ])
    await record(cluster, eventOf(segment(1), path))
    const before = await version()
    await record(cluster, eventOf(segment(1), path, { status: 'already-stored' }))
    expect(await version()).toEqual(before)
    await record(cluster, eventOf(segment(1), path, { storedBytes: 7 }))
    expect(await copiesOf(cluster)).toMatchObject([{ stored_bytes: '7' }])
  })
})
