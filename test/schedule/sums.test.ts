import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { deliver, fetchRoute } from '../../src/schedule/agent.ts'
import { noteCleanup } from '../../src/schedule/cleanup.ts'
import { queryPathHealth } from '../../src/schedule/health.ts'
import { losePath, returnPath } from '../../src/schedule/lost-paths.ts'
import { enrolMember } from '../../src/schedule/members.ts'
import { removePath } from '../../src/schedule/paths.ts'
import { notePathProbe } from '../../src/schedule/probes.ts'
import { recordFound } from '../../src/schedule/rebuild.ts'
import { beginSetAside, finishSetAside } from '../../src/schedule/set-aside.ts'
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

const minute = 60_000
const ago = (minutes: number) => new Date(Date.now() - minutes * minute)
const failure = { status: 'failed', storedBytes: null, error: 'no space' } as const

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  let cluster: Awaited<ReturnType<typeof addCluster>>
  let first: number
  let second: number
  let number = 0
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'sums')
  })
  beforeEach(async () => {
    cluster = await addCluster(schedule, `c${++number}`, String(7_000 + number))
    first = await addPath(schedule, `first${number}`, [cluster], 20)
    second = await addPath(schedule, `second${number}`, [cluster], 10)
  })

  const tell = (
    when: 'at once' | 'later',
    events: readonly CopyEvent[],
    member: Membership = cluster.member,
  ) => {
    const entries = events.map((event) => ({
      claim: claimOf(event.walName, event.walName),
      events: [event],
    }))
    return schedule.asAgent((s) => deliver(s, member, entries, when))
  }

  /** What lies where by the sums; they must be what arch_copy says. */
  async function uses() {
    const sums = await schedule.rows(
      `select db_id, path_id, files::int, stored_bytes::int from pgarch.arch_path_use
       where files <> 0 or stored_bytes <> 0 order by 1, 2`,
    )
    const counted = await schedule.rows(
      `select db_id, path_id, count(*)::int as files, coalesce(sum(stored_bytes), 0)::int
                as stored_bytes
       from pgarch.arch_copy where path_id is not null group by 1, 2 order by 1, 2`,
    )
    expect(sums).toEqual(counted)
    return sums
      .filter((row) => row.db_id === cluster.fingerprint)
      .map((row) => [row.path_id, row.files, row.stored_bytes])
  }

  /** Files, stored bytes and failures by day, over all paths. */
  const days = () =>
    schedule.rows(
      `select day::text, sum(files)::int as files, sum(stored_bytes)::int as bytes,
              sum(failures)::int as failures
       from pgarch.arch_daily where db_id = $1 group by 1 order by 1`,
      [cluster.fingerprint],
    )
  const today = () => new Date().toISOString().slice(0, 10)
  const routeOf = async () =>
    (await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint)))[0]?.route
  const pathOf = async (id: number) => (await schedule.asAdmin((s) => queryPathHealth(s, id)))[0]

  test('what is stored counts once, where it lies and by day, whatever is told again', async () => {
    const one = eventOf(segment(1), first, { storedBytes: 10 })
    await tell('at once', [one, eventOf(segment(2), second, { storedBytes: 5 })])
    await tell('later', [one])
    await tell('at once', [
      eventOf(segment(1), first, { status: 'already-stored', storedBytes: 10 }),
      eventOf(segment(3), first, { storedBytes: 1 }),
      eventOf(segment(3), first, { status: 'already-stored', storedBytes: 1 }),
    ])
    expect(await uses()).toEqual([
      [first, 2, 11],
      [second, 1, 5],
    ])
    expect(await days()).toEqual([{ day: today(), files: 3, bytes: 16, failures: 0 }])
    // It was compressed better.
    await tell('at once', [eventOf(segment(1), first, { storedBytes: 4 })])
    expect(await uses()).toEqual([
      [first, 2, 5],
      [second, 1, 5],
    ])
  })

  test('what waited in a journal counts on its day, and its host is late', async () => {
    const old = ago(3 * 24 * 60)
    await tell('later', [
      eventOf(segment(1), first, { time: old, storedBytes: 10 }),
      eventOf(segment(2), first, { time: old, ...failure }),
    ])
    expect(await days()).toEqual([
      { day: old.toISOString().slice(0, 10), files: 1, bytes: 10, failures: 1 },
    ])
    const [status] = await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint))
    expect(status?.members).toMatchObject([{ lateTime: expect.any(Date) }])
    const days3 = 3 * 24 * 3600
    expect(Math.abs((status?.members[0]?.lateSeconds ?? 0) - days3)).toBeLessThan(60)
  })

  test('a clock that is ten minutes slow makes nobody late, and hides no failure', async () => {
    const other = await schedule.asAdmin((s) =>
      enrolMember(s, cluster.fingerprint, { host: 'other', dataDirectory: '/data' }),
    )
    await tell('at once', [eventOf(segment(1), first)])
    await tell('at once', [eventOf(segment(2), first, { ...failure, time: ago(10) })], other)
    expect(await routeOf()).toMatchObject([{ failures: 1, lastError: 'no space' }, { failures: 0 }])
    await tell('at once', [eventOf(segment(2), first, { time: ago(10) })], other)
    expect(await routeOf()).toMatchObject([{ failures: 0 }, { failures: 0 }])
    const [status] = await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint))
    expect(status?.members.map(({ lateTime }) => lateTime)).toEqual([null, null])
  })

  test('each path has the failures since its last success, and the last reason', async () => {
    const failed = (path: number, minutes: number, error: string) =>
      eventOf(segment(1), path, { ...failure, error, time: ago(minutes) })
    await tell('later', [failed(first, 60, 'a'), failed(first, 59, 'b'), failed(second, 59, 'c')])
    await tell('later', [eventOf(segment(1), second, { time: ago(58) })])
    expect(await routeOf()).toMatchObject([
      { failures: 2, lastError: 'b' },
      { failures: 0, lastError: 'c' },
    ])
    expect(await pathOf(first)).toMatchObject({ failingClusters: 1, lastError: 'b', clusters: 1 })
    expect(await pathOf(second)).toMatchObject({ failingClusters: 0, files: 1 })
    // What is told later and happened before is no news.
    await tell('later', [eventOf(segment(9), first, { time: ago(90) }), failed(second, 91, 'old')])
    expect(await routeOf()).toMatchObject([
      { failures: 2, lastError: 'b' },
      { failures: 0, lastError: 'c' },
    ])
    await tell('later', [eventOf(segment(8), first, { time: ago(50) })])
    expect(await routeOf()).toMatchObject([{ failures: 0, lastError: 'b' }, { failures: 0 }])
  })

  test("this server's clock was an hour ahead: what is newer counts", async () => {
    await tell('at once', [eventOf(segment(1), first)])
    await schedule.rows(
      `update pgarch.arch_path_status set last_stored_time = now() + interval '1 hour',
              last_failure_time = now() + interval '1 hour' where db_id = $1`,
      [cluster.fingerprint],
    )
    await tell('at once', [eventOf(segment(2), first, failure)])
    expect(await routeOf()).toMatchObject([{ failures: 1, lastError: 'no space' }, {}])
    await tell('at once', [eventOf(segment(2), first)])
    expect(await routeOf()).toMatchObject([{ failures: 0 }, {}])
  })

  test('local archives count by themselves, and as on the path once they are drained', async () => {
    const local = eventOf(segment(1), 0, { pathId: null, status: 'local', fullPath: '/local/x' })
    await tell('later', [local])
    const localFiles = async () =>
      (await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint)))[0]?.localFiles
    expect([await uses(), await localFiles()]).toEqual([[], 1])
    const drained = eventOf(segment(1), 0, { pathId: null, status: 'drained', fullPath: '/x' })
    const claim = claimOf(segment(1), segment(1))
    const stored = eventOf(segment(1), first, { storedBytes: 7 })
    await schedule.asAgent((s) =>
      deliver(s, cluster.member, [{ claim, events: [stored, drained] }], 'at once'),
    )
    expect([await uses(), await localFiles()]).toEqual([[[first, 1, 7]], 0])
  })

  test('a clean-up takes off what it takes, and its day has it', async () => {
    const names = [1, 2, 3].map(segment)
    await tell('at once', [
      ...names.map((name) => eventOf(name, first, { storedBytes: 10 })),
      ...names.map((name) => eventOf(name, second, { storedBytes: 1 })),
    ])
    const cleanup = { pathId: first, keptFrom: segment(3), walNames: names }
    await schedule.asAgent((s) => noteCleanup(s, cluster.member, cleanup))
    await schedule.asAgent((s) => noteCleanup(s, cluster.member, cleanup))
    expect(await uses()).toEqual([
      [first, 1, 10],
      [second, 3, 3],
    ])
    const removed = await schedule.rows(
      `select day::text, path_id, files::int, stored_bytes::int from pgarch.arch_daily_removed
       where db_id = $1`,
      [cluster.fingerprint],
    )
    expect(removed).toEqual([{ day: today(), path_id: first, files: 2, stored_bytes: 20 }])
  })

  test('content set aside is taken off, and the one that stays is counted', async () => {
    await tell('at once', [
      eventOf(segment(1), first, { storedBytes: 10 }),
      eventOf(segment(1), second, { storedBytes: 10 }),
    ])
    await schedule.asAdmin(async (s) => {
      const given = { fingerprint: cluster.fingerprint, walName: segment(1), walSize: 16_777_216 }
      const who = { memberId: null, author: 'me', reason: 'test' }
      const id = await beginSetAside(s, { ...given, ...who, sha256: sha256(segment(1)) })
      const stays = { sha256: sha256('x'), walSize: 16_777_216, history: null, memberId: null }
      await finishSetAside(s, id, {
        copies: [],
        pathIds: [first],
        successor: { ...stays, pathIds: [second] },
      })
    })
    expect(await uses()).toEqual([[second, 1, 0]])
  })

  test('a rebuild counts what it finds, once', async () => {
    const found = [1, 2].map((n) => ({
      fingerprint: cluster.fingerprint,
      walName: segment(n),
      sha256: sha256(segment(n)),
      walSize: 16_777_216,
      storedBytes: 3,
      history: null,
    }))
    await tell('at once', [eventOf(segment(1), first, { storedBytes: 4 })])
    await schedule.asAdmin((s) => recordFound(s, first, found))
    await schedule.asAdmin((s) => recordFound(s, first, found))
    expect(await uses()).toEqual([[first, 2, 6]])
  })

  test('a lost path keeps what lay there, and tells what lies nowhere else', async () => {
    await tell('at once', [
      ...[1, 2, 3].map((n) => eventOf(segment(n), first, { storedBytes: 4 })),
      eventOf(segment(2), second, { storedBytes: 4 }),
    ])
    const lost = async (fingerprint: string | null) =>
      (await schedule.asAdmin((s) => queryStatus(s, fingerprint))).find(
        (one) => one.fingerprint === cluster.fingerprint,
      )
    await schedule.asAdmin((s) => losePath(s, first, { author: 'me', reason: null }))
    expect(await uses()).toHaveLength(2)
    const counted = { lostFilesAreCounted: true, lostTime: expect.any(Date) }
    expect(await lost(cluster.fingerprint)).toMatchObject({ lostFiles: 2, ...counted })
    // Of a whole fleet nobody counts them.
    expect(await lost(null)).toMatchObject({ ...counted, lostFiles: 1, lostFilesAreCounted: false })
    await schedule.asAdmin((s) => losePath(s, second, { author: 'me', reason: null }))
    expect(await lost(cluster.fingerprint)).toMatchObject({ lostFiles: 3 })
    await schedule.asAdmin((s) => returnPath(s, first))
    await schedule.asAdmin((s) => returnPath(s, second))
    expect(await lost(null)).toMatchObject({ ...counted, lostFiles: 0, lostTime: null })
    expect(await uses()).toHaveLength(2)
  })

  test('of many lost files a thousand are counted', async () => {
    await schedule.rows(
      `with file as (
         insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, member_id)
         select $1, '0000000100000000' || lpad(upper(to_hex(n)), 8, '0'), sha256(int8send(n)),
                16777216, $2
         from generate_series(1, 1001) n returning db_id, wal_name)
       insert into pgarch.arch_copy (db_id, wal_name, path_id, stored_bytes)
       select db_id, wal_name, $3, 4 from file`,
      [cluster.fingerprint, cluster.member.memberId, first],
    )
    await schedule.asAdmin((s) => losePath(s, first, { author: 'me', reason: null }))
    const [status] = await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint))
    await schedule.asAdmin((s) => returnPath(s, first))
    expect(status).toMatchObject({ lostFiles: 1000, lostFilesAreCounted: false })
  })

  test('what was found at a path is noted, and what was stored since; it goes with the path', async () => {
    const note = (path: number, error: string | null, freeBytes: number | null) =>
      schedule.asAdmin(async (s) => {
        await s.query('set role pgarch_monitor')
        await notePathProbe(s, path, { error, freeBytes, sizeBytes: freeBytes && 100 })
      })
    await tell('at once', [eventOf(segment(1), first, { storedBytes: 10 })])
    await note(first, 'it is gone', null)
    const unknown = { freeBytes: null, sizeBytes: null, spaceTime: null, storedSince: null }
    expect(await pathOf(first)).toMatchObject({ probeError: 'it is gone', ...unknown })
    await note(first, null, 40)
    const room = { freeBytes: 40, sizeBytes: 100, spaceTime: expect.any(Date) }
    expect(await pathOf(first)).toMatchObject({ probeError: null, ...room, storedSince: 0 })
    await tell('at once', [eventOf(segment(2), first, { storedBytes: 7 })])
    await note(first, 'it is gone', null)
    const later = await pathOf(first)
    expect(later).toMatchObject({ probeError: 'it is gone', ...room, storedSince: 7 })
    expect(later?.probeTime?.getTime()).toBeGreaterThan(later?.spaceTime?.getTime() ?? 0)
    await note(first, null, 33)
    expect(await pathOf(first)).toMatchObject({ freeBytes: 33, storedSince: 0 })

    const path = await addPath(schedule, `bare${number}`, [])
    await note(path, null, 40)
    await schedule.asAdmin((s) => removePath(s, path))
    expect(await pathOf(path)).toBeUndefined()
  })

  test('hosts that record at once, and a rebuild and a clean-up of the same files', async () => {
    const other = await schedule.asAdmin((s) =>
      enrolMember(s, cluster.fingerprint, { host: 'other', dataDirectory: '/data' }),
    )
    const names = Array.from({ length: 40 }, (_, n) => segment(n + 1))
    const claims = names.map((name) => claimOf(name, name))
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, claims))
    // Of another size each time, so that there is always something to count.
    const found = (storedBytes: number) =>
      names.map((walName) => ({
        fingerprint: cluster.fingerprint,
        walName,
        sha256: sha256(walName),
        walSize: 16_777_216,
        storedBytes,
        history: null,
      }))
    const walNames = names.slice(0, 20)
    const storing = (member: Membership) =>
      schedule.asAgent(async (s) => {
        for (let round = 0; round < 20; round++) {
          const events = names.flatMap((name) =>
            [first, second].map((path) => eventOf(name, path, { storedBytes: round })),
          )
          await recordCopies(s, member, events)
        }
      })
    const again = async (act: (round: number) => Promise<unknown>) => {
      for (let round = 0; round < 20; round++) await act(round)
    }
    await Promise.all([
      storing(cluster.member),
      storing(other),
      again((round) => schedule.asAdmin((s) => recordFound(s, first, found(100 + round)))),
      again((round) => schedule.asAdmin((s) => recordFound(s, second, found(200 + round)))),
      again(() =>
        schedule.asAgent((s) =>
          noteCleanup(s, other, { pathId: first, keptFrom: segment(21), walNames }),
        ),
      ),
    ])
    await uses()
  })
})
