import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { dropWal, fetchRoute, locate } from '../../src/schedule/agent.ts'
import { retireCluster, succeedCluster, switchCluster } from '../../src/schedule/clusters.ts'
import { setPathActive } from '../../src/schedule/paths.ts'
import { setRouteActive } from '../../src/schedule/routes.ts'
import type { ClusterReference } from '../../src/schedule/types.ts'
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
  const find = (reference: Partial<ClusterReference>, walName = segment(1)) =>
    schedule.asAgent((s) =>
      locate(
        s,
        { systemIdentifier: null, clusterName: null, fingerprint: null, ...reference },
        walName,
      ),
    )

  test('one cluster has the system identifier, the largest there can be', async () => {
    const systemIdentifier = '18446744073709551615'
    const { fingerprint } = await addCluster(schedule, 'largest', systemIdentifier)
    expect(await find({ systemIdentifier })).toEqual({
      fingerprint,
      clusterName: 'largest',
      systemIdentifier,
      walSegmentSize: 16_777_216,
      file: null,
      paths: [],
      localHosts: [],
      localMembers: [],
      lostPaths: [],
      lostHosts: [],
      cleanedPaths: [],
      dropped: false,
      asOfStandby: false,
      namesakes: [],
      lostAPath: false,
    })
  })

  test('every path that could hold the file, those with a copy first, then by priority', async () => {
    const systemIdentifier = '7100'
    const cluster = await addCluster(schedule, 'everywhere', systemIdentifier)
    const path = (name: string, priority: number) => addPath(schedule, name, [cluster], priority)
    await path('high', 90)
    const copied = await path('copied', 10)
    const disabled = await path('disabled', 80)
    const unrouted = await path('unrouted', 70)
    const lost = await path('lost', 99)
    const former = await addPath(schedule, 'former', [])
    await schedule.rows('update pgarch.arch_path_info set lost_time = now() where id = $1', [lost])
    await schedule.asAdmin(async (s) => {
      await setPathActive(s, disabled, false)
      await setRouteActive(s, cluster.fingerprint, unrouted, false)
    })
    await schedule.asAgent(async (s) => {
      await fetchRoute(s, cluster.member, [claimOf(segment(1), 'x')])
      const events = [copied, former, lost].map((id) => eventOf(segment(1), id))
      await recordCopies(s, cluster.member, events)
    })
    const location = await find({ systemIdentifier })
    expect(location.paths.map(({ name, hasCopy }) => [name, hasCopy])).toEqual([
      ['copied', true],
      ['former', true],
      ['high', false],
      ['disabled', false],
      ['unrouted', false],
    ])
    expect(location.file).toEqual({ sha256: sha256('x'), walSize: 16_777_216, history: null })
  })

  test('a timeline history comes with its bytes', async () => {
    const systemIdentifier = '7200'
    const cluster = await addCluster(schedule, 'historic', systemIdentifier)
    await addPath(schedule, 'historic-path', [cluster])
    const history = Buffer.from('1\t0/3000000\tno recovery target specified\n'.repeat(9))
    const digest = createHash('sha256').update(history).digest('hex')
    const walName = '00000002.history'
    const claim = { walName, sha256: digest, walSize: history.length, history }
    await schedule.asAgent((s) => fetchRoute(s, cluster.member, [claim]))
    expect((await find({ systemIdentifier }, walName)).file?.history).toEqual(history)
  })

  test('what was dropped on purpose, and what is in a local archive, is told', async () => {
    const systemIdentifier = '7300'
    const cluster = await addCluster(schedule, 'elsewhere', systemIdentifier)
    const stop = { switch: 'stop', reason: null, author: 'alice' } as const
    await schedule.asAdmin((s) => switchCluster(s, cluster.fingerprint, stop))
    const file = { walName: segment(1), walSize: 1 }
    await schedule.asAgent((s) => dropWal(s, cluster.member, file))
    await schedule.rows(
      'insert into pgarch.arch_copy (db_id, wal_name, member_id) values ($1, $2, $3)',
      [cluster.fingerprint, segment(2), cluster.member.memberId],
    )
    expect(await find({ systemIdentifier }, segment(1))).toMatchObject({ dropped: true })
    const local = { dropped: false, localHosts: ['elsewhere-host'] }
    expect(await find({ systemIdentifier }, segment(2))).toMatchObject(local)
  })

  test('a name, a fingerprint and a membership decide where the identifier cannot', async () => {
    const systemIdentifier = '7400'
    const production = await addCluster(schedule, 'production', systemIdentifier)
    const copy = await addCluster(schedule, 'a-copy', systemIdentifier)
    const { fingerprint } = copy
    const found = [
      { systemIdentifier, clusterName: 'a-copy' },
      { systemIdentifier, clusterName: fingerprint },
      { systemIdentifier, fingerprint },
      { clusterName: 'a-copy' },
      // What the command line names comes before what the host is a member of.
      { systemIdentifier, clusterName: 'a-copy', fingerprint: production.fingerprint },
    ]
    for (const reference of found) expect(await find(reference)).toMatchObject({ fingerprint })
    const both = [`a-copy (${fingerprint})`, `production (${production.fingerprint})`]
    await expect(find({ systemIdentifier })).rejects.toMatchObject({
      failure: 'refused',
      message: `several clusters have system identifier ${systemIdentifier}`,
      hint: `Say which with --cluster and its name or fingerprint: ${both.join(', ')}.`,
    })
  })

  test.each([
    [{ systemIdentifier: '1' }, 'knows no cluster with system identifier 1'],
    [{ clusterName: 'nobody' }, 'knows no cluster "nobody"'],
    [{ fingerprint: '00000000-0000-0000-0000-000000000000' }, 'no cluster with fingerprint'],
  ])('%j is nobody', async (reference, message) => {
    const search = find(reference)
    await expect(search).rejects.toMatchObject({ failure: 'refused' })
    await expect(search).rejects.toThrow(message)
  })

  test('a cluster whose identifier is not the data directory one is refused', async () => {
    await addCluster(schedule, 'upgraded', '7500')
    const search = find({ systemIdentifier: '7501', clusterName: 'upgraded' })
    await expect(search).rejects.toMatchObject({
      failure: 'refused',
      message: 'cluster "upgraded" has system identifier 7500, but the data directory has 7501',
    })
  })

  test('a retired cluster is found; its successor wins only over its own predecessors', async () => {
    const systemIdentifier = '7600'
    const first = await addCluster(schedule, 'line', systemIdentifier)
    await schedule.asAdmin((s) => retireCluster(s, first.fingerprint))
    expect(await find({ systemIdentifier })).toMatchObject({ fingerprint: first.fingerprint })
    await schedule.rows('update pgarch.arch_db_info set active_status = true where id = $1', [
      first.fingerprint,
    ])
    const successor = { name: 'line', systemIdentifier, walSegmentSize: 16_777_216 }
    const second = await schedule.asAdmin((s) => succeedCluster(s, first.fingerprint, successor))
    const third = await schedule.asAdmin((s) => succeedCluster(s, second.fingerprint, successor))
    expect(await find({ systemIdentifier })).toMatchObject({ fingerprint: third.fingerprint })
    expect(await find({ clusterName: 'line' })).toMatchObject({ fingerprint: third.fingerprint })
    const old = { systemIdentifier, clusterName: first.fingerprint }
    expect(await find(old)).toMatchObject({ fingerprint: first.fingerprint })

    const stranger = await addCluster(schedule, 'stranger', systemIdentifier)
    await schedule.asAdmin((s) => retireCluster(s, stranger.fingerprint))
    await expect(find({ systemIdentifier })).rejects.toThrow('several clusters')
  })

  test('a standby of the scheduling database, where nothing can be written, answers', async () => {
    await addCluster(schedule, 'read-only', '7700')
    const location = schedule.asAgent(async (s) => {
      await s.query('set default_transaction_read_only = on')
      const reference = { systemIdentifier: '7700', clusterName: null, fingerprint: null }
      return await locate(s, reference, segment(1))
    })
    expect(await location).toMatchObject({ clusterName: 'read-only' })
  })
})
