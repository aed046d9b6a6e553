import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { dropWal, fetchRoute } from '../../src/schedule/agent.ts'
import { retireCluster, switchCluster } from '../../src/schedule/clusters.ts'
import { findClaim, listOpenConflicts } from '../../src/schedule/conflicts.ts'
import type { Schedule } from '../../src/schedule/connect.ts'
import { recordFound } from '../../src/schedule/rebuild.ts'
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

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'pgarch')
  })

  test('a route has the active paths, the preferred one first', async () => {
    const cluster = await addCluster(schedule, 'routed')
    await addPath(schedule, 'routed-second', [cluster], 5)
    await addPath(schedule, 'routed-first', [cluster], 50)
    const off = await addPath(schedule, 'routed-off', [cluster], 99)
    await schedule.rows('update pgarch.arch_path_info set active_status = false where id = $1', [
      off,
    ])
    const { route, outcomes } = await schedule.asAgent((s) => fetchRoute(s, cluster.member, []))
    expect(outcomes).toEqual([])
    expect(route).toMatchObject({
      fingerprint: cluster.fingerprint,
      clusterName: 'routed',
      switch: 'start',
      switchReason: null,
    })
    expect(route.paths.map(({ name, priority }) => [name, priority])).toEqual([
      ['routed-first', 50],
      ['routed-second', 5],
    ])
    expect(route.paths[0]).toMatchObject({ kind: 'local', rootPath: '/archive', sshHost: null })
  })

  test('what a rebuild found has no host that could be named', async () => {
    const cluster = await addCluster(schedule, 'found')
    const path = await addPath(schedule, 'found-path', [cluster])
    const { fingerprint } = cluster
    const walName = segment(1)
    const found = { fingerprint, walName, walSize: 16_777_216, storedBytes: 9, history: null }
    await schedule.asAdmin((s) => recordFound(s, path, [{ ...found, sha256: sha256('one') }]))
    const { outcomes } = await schedule.asAgent((s) =>
      fetchRoute(s, cluster.member, [claimOf(walName, 'two')]),
    )
    expect(outcomes).toMatchObject([{ outcome: 'conflict', claimedBy: 'nobody knows whom' }])
    const known = await schedule.asAdmin((s) => findClaim(s, fingerprint, walName))
    expect(known).toMatchObject({ sha256: sha256('one'), memberId: null, host: null })
  })

  test('the same content is claimed again, other content is a conflict', async () => {
    const cluster = await addCluster(schedule, 'claiming')
    await addPath(schedule, 'claiming-path', [cluster])
    const claim = async (content: string) => {
      const claims = [claimOf(segment(1), content)]
      return (await schedule.asAgent((s) => fetchRoute(s, cluster.member, claims))).outcomes
    }
    expect(await claim('one')).toMatchObject([{ outcome: 'claimed' }])
    expect(await claim('one')).toMatchObject([{ outcome: 'claimed' }])
    const refused = { outcome: 'conflict', sha256: sha256('one'), claimedBy: 'claiming-host' }
    expect(await claim('two')).toMatchObject([refused])
    expect(await claim('two')).toMatchObject([refused])
    const conflicts = await schedule.asAdmin((s) => listOpenConflicts(s, cluster.fingerprint))
    expect(conflicts).toMatchObject([
      {
        walName: segment(1),
        refusedSha256: sha256('two'),
        claimedSha256: sha256('one'),
        pathName: null,
        host: 'claiming-host',
        times: 2,
      },
    ])
  })

  test('of many hosts that claim different content at once exactly one wins, 40 rounds', async () => {
    const cluster = await addCluster(schedule, 'racing')
    await addPath(schedule, 'racing-path', [cluster])
    const racers = 5
    const outcomes: string[][] = Array.from({ length: 40 }, () => [])
    // One connection a racer; all of them meet at every round.
    await Promise.all(
      Array.from({ length: racers }, (_, racer) =>
        schedule.asAgent(async (s) => {
          for (const [round, met] of outcomes.entries()) {
            const claim = claimOf(segment(round + 1), `racer ${racer}`)
            const claimed = await fetchRoute(s, cluster.member, [claim])
            met.push(claimed.outcomes?.[0]?.outcome ?? 'none')
          }
        }),
      ),
    )
    for (const met of outcomes) {
      expect(met.toSorted()).toEqual(['claimed', ...Array(racers - 1).fill('conflict')])
    }
  })

  test('several files are claimed in one call', async () => {
    const cluster = await addCluster(schedule, 'batch')
    await addPath(schedule, 'batch-path', [cluster])
    const { memberId, credential } = cluster.member
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, [claimOf(segment(2), 'old')]))
    const claims = [claimOf(segment(1), 'a'), claimOf(segment(2), 'b'), claimOf(segment(3), 'c')]
    const [row] = await schedule.asAgent((s) =>
      s.query<{ claims: { outcome: string }[] }>(
        "select pgarch.route($1, $2, $3)->'claims' as claims",
        [memberId, credential, JSON.stringify(claims)],
      ),
    )
    expect(row?.claims.map(({ outcome }) => outcome)).toEqual(['claimed', 'conflict', 'claimed'])
  })

  test("a timeline history's bytes must be what was claimed", async () => {
    const cluster = await addCluster(schedule, 'historian')
    await addPath(schedule, 'historian-path', [cluster])
    const history = Buffer.from('1\t0/3000000\tno recovery target specified\n')
    const claim = {
      walName: '00000002.history',
      sha256: createHash('sha256').update(history).digest('hex'),
      walSize: history.length,
      history,
    }
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, [claim]))
    const stored = await schedule.rows('select history from pgarch.arch_file where db_id = $1', [
      cluster.fingerprint,
    ])
    expect(stored).toEqual([{ history }])
    const forged = { ...claim, walName: '00000003.history', history: Buffer.from('forged') }
    const push = schedule.asAgent((s) => fetchRoute(s, cluster.member, [forged]))
    await expect(push).rejects.toThrow('check constraint')
  })

  test('what is no WAL file is not claimed', async () => {
    const cluster = await addCluster(schedule, 'strict')
    await addPath(schedule, 'strict-path', [cluster])
    for (const name of ['../../etc/passwd', '00000001000000000000000a', '1.history', '']) {
      const push = schedule.asAgent((s) => fetchRoute(s, cluster.member, [claimOf(name, 'x')]))
      await expect(push, name).rejects.toThrow('check constraint')
    }
  })

  test('an unknown member, a wrong credential and a retired cluster are refused', async () => {
    const cluster = await addCluster(schedule, 'guarded')
    const other = await addCluster(schedule, 'other')
    const { member } = cluster
    const strangers = [
      { ...member, credential: 'guess' },
      { ...member, memberId: '00000000-0000-0000-0000-000000000000' },
      { ...member, credential: other.member.credential },
    ]
    for (const stranger of strangers) {
      const refusal = { failure: 'refused', hint: expect.stringContaining('register --member') }
      const calls = [
        (s: Schedule) => fetchRoute(s, stranger, [claimOf(segment(1), 'x')]),
        (s: Schedule) => recordCopies(s, stranger, []),
        (s: Schedule) => dropWal(s, stranger, { walName: segment(1), walSize: 1 }),
      ]
      for (const call of calls) {
        await expect(schedule.asAgent<unknown>(call)).rejects.toMatchObject(refusal)
      }
    }
    await schedule.asAdmin((s) => retireCluster(s, cluster.fingerprint))
    await expect(schedule.asAgent((s) => fetchRoute(s, member, []))).rejects.toMatchObject({
      failure: 'refused',
      message: 'cluster "guarded" is retired',
    })
    const files = 'select * from pgarch.arch_file where db_id = $1'
    expect(await schedule.rows(files, [cluster.fingerprint])).toEqual([])
  })

  test('a member writes for its own cluster only', async () => {
    const mine = await addCluster(schedule, 'mine')
    const theirs = await addCluster(schedule, 'theirs')
    const path = await addPath(schedule, 'shared', [mine, theirs])
    await schedule.asAgent(async (s) => {
      await fetchRoute(s, mine.member, [claimOf(segment(1), 'mine')])
      await recordCopies(s, mine.member, [eventOf(segment(1), path)])
    })
    for (const table of ['arch_file', 'arch_copy', 'arch_remote_log', 'arch_db_status']) {
      const rows = await schedule.rows(`select db_id from pgarch.${table} where db_id = any ($1)`, [
        [mine.fingerprint, theirs.fingerprint],
      ])
      expect(rows, table).toEqual([{ db_id: mine.fingerprint }])
    }
  })

  test('nothing is claimed unless the switch is at start; a gap is noted only at stop', async () => {
    const cluster = await addCluster(schedule, 'switched')
    await addPath(schedule, 'switched-path', [cluster])
    const file = { walName: segment(7), walSize: 16_777_216 }
    const turn = (to: 'start' | 'pause' | 'stop') =>
      schedule.asAdmin((s) =>
        switchCluster(s, cluster.fingerprint, { switch: to, reason: 'a move', author: 'alice' }),
      )
    const tries = async () => {
      const [pushed, dropped] = await schedule.asAgent(async (s) => [
        await fetchRoute(s, cluster.member, [claimOf(file.walName, 'x')]),
        await dropWal(s, cluster.member, file),
      ])
      const gaps = 'select wal_name, switch_author from pgarch.arch_gap where db_id = $1'
      const gap = await schedule.rows(gaps, [cluster.fingerprint])
      return { outcomes: pushed?.outcomes, dropped, gap }
    }
    await turn('pause')
    expect(await tries()).toEqual({ outcomes: null, dropped: false, gap: [] })
    await turn('stop')
    const gap = [{ wal_name: file.walName, switch_author: 'alice' }]
    expect(await tries()).toEqual({ outcomes: null, dropped: true, gap })
    await turn('start')
    expect(await tries()).toMatchObject({ outcomes: [{ outcome: 'claimed' }], dropped: false })
  })

  test('"cluster start" waits for a drop that is under way', async () => {
    const cluster = await addCluster(schedule, 'waiting')
    const turn = (to: 'start' | 'stop') =>
      schedule.asAdmin((s) =>
        switchCluster(s, cluster.fingerprint, { switch: to, reason: null, author: 'alice' }),
      )
    await turn('stop')
    const order: string[] = []
    let started: Promise<void> | undefined
    await schedule.asAgent(async (s) => {
      await s.query('begin')
      await dropWal(s, cluster.member, { walName: segment(1), walSize: 1 })
      started = turn('start').then(() => void order.push('started'))
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock'
                       and query ~ 'switch = ' and datname = current_database()`
      while ((await schedule.rows(waiting)).length === 0 && order.length === 0);
      order.push('dropped')
      await s.query('commit')
    })
    await started
    expect(order).toEqual(['dropped', 'started'])
  })

  test('a member is seen, and its row is not rewritten by every call', async () => {
    const cluster = await addCluster(schedule, 'seen')
    const state = async () => {
      const sql = 'select last_seen, xmin::text from pgarch.arch_member where id = $1'
      return (await schedule.rows(sql, [cluster.member.memberId]))[0]
    }
    expect(await state()).toMatchObject({ last_seen: null })
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, []))
    const first = await state()
    expect(first).toMatchObject({ last_seen: expect.any(Date) })
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, []))
    expect(await state()).toEqual(first)
  })
})
