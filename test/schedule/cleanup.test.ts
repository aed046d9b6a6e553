import { beforeAll, describe, expect, test } from 'vitest'
import { fetchRoute, locate } from '../../src/schedule/agent.ts'
import { queryArchivedAfter } from '../../src/schedule/archived.ts'
import { findCleanupScope, noteCleanup } from '../../src/schedule/cleanup.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import type { Claim } from '../../src/schedule/types.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  recordCopies,
  segment,
  type TestSchedule,
} from './fixture.ts'

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  let schedule: TestSchedule
  beforeAll(async () => {
    schedule = await createSchedule(await startServer({ version }), 'pgarch')
  })

  type Cluster = Awaited<ReturnType<typeof addCluster>>

  async function archive(cluster: Cluster, path: number, names: readonly string[]) {
    const claims: Claim[] = names.map((name) => claimOf(name, name))
    await schedule.asAgent(async (s) => {
      await fetchRoute(s, cluster.member, claims)
      await recordCopies(
        s,
        cluster.member,
        names.map((name) => eventOf(name, path)),
      )
    })
  }

  const namesOn = async (cluster: Cluster, path: number) =>
    (
      await schedule.rows<{ name: string }>(
        'select wal_name as name from pgarch.arch_copy where db_id = $1 and path_id = $2 order by 1',
        [cluster.fingerprint, path],
      )
    ).map(({ name }) => name)

  test('a path no longer counts for having what was cleaned up, and whoever asks is told', async () => {
    const cluster = await addCluster(schedule, 'cleaned', '7001')
    const other = await addCluster(schedule, 'cleaned-other', '7002')
    const own = await addPath(schedule, 'own', [cluster, other])
    const names = [segment(1), `${segment(2)}.partial`, segment(3), segment(4)]
    const others = ['00000002.history', `${segment(1)}.00000028.backup`]
    await archive(cluster, own, [...names, ...others])
    await archive(other, own, names)
    const clean = () =>
      schedule.asAgent((s) =>
        noteCleanup(s, cluster.member, {
          pathId: own,
          keptFrom: segment(4),
          walNames: [...names, ...others],
        }),
      )
    await clean()
    await clean()
    expect(await namesOn(cluster, own)).toEqual([segment(4), ...others].sort())
    expect(await namesOn(other, own)).toEqual(names)

    const find = (walName: string) =>
      schedule.asAgent((s) =>
        locate(s, { systemIdentifier: '7001', clusterName: null, fingerprint: null }, walName),
      )
    expect((await find(segment(3))).cleanedPaths).toEqual(['own'])
    expect((await find(segment(4))).cleanedPaths).toEqual([])
    const [status] = await schedule.asAdmin((s) => queryStatus(s, cluster.fingerprint))
    expect(status).toMatchObject({ lostFiles: 0, droppedFiles: 0 })
    expect(status?.cleanups).toEqual([
      {
        path: 'own',
        host: 'cleaned-host',
        files: 3,
        keptFrom: segment(4),
        time: expect.any(Date),
      },
    ])
  })

  test('the scope of a clean-up is what its cluster has on a path of its own', async () => {
    const cluster = await addCluster(schedule, 'scope', '7003')
    const other = await addCluster(schedule, 'scope-other', '7004')
    const own = await addPath(schedule, 'scope-own', [cluster])
    await addPath(schedule, 'scope-both', [cluster, other])
    const foreign = await addPath(schedule, 'scope-foreign', [other])
    await archive(cluster, own, [segment(1), segment(2), `${segment(1)}.00000028.backup`])
    const scope = (name: string, member = cluster.member) =>
      schedule.asAgent((s) => findCleanupScope(s, member, name, segment(2)))
    expect(await scope('scope-own')).toMatchObject({
      path: { id: own, name: 'scope-own', kind: 'local' },
      isShared: false,
      recorded: [segment(1)],
    })
    expect(await scope('scope-both')).toMatchObject({ isShared: true })
    expect(await scope('scope-foreign')).toBeUndefined()
    expect(await scope('nowhere')).toBeUndefined()
    await archive(other, own, [segment(9)])
    expect(await scope('scope-own')).toMatchObject({ isShared: true })
    expect(await scope('scope-own', other.member)).toMatchObject({ recorded: [] })

    const stranger = { ...cluster.member, credential: 'wrong' }
    const cleanup = { pathId: foreign, keptFrom: segment(9), walNames: [] }
    await expect(scope('scope-own', stranger)).rejects.toMatchObject({ failure: 'refused' })
    await expect(schedule.asAgent((s) => noteCleanup(s, stranger, cleanup))).rejects.toMatchObject({
      failure: 'refused',
    })
  })

  test('what is archived after a segment, along timelines, and what is missing', async () => {
    const cluster = await addCluster(schedule, 'after', '7005')
    const archivedAfter = (walName: string | null) =>
      schedule.asAgent((s) =>
        queryArchivedAfter(
          s,
          { systemIdentifier: '7005', clusterName: null, fingerprint: null },
          walName,
        ),
      )
    const nothing = { archived: null, missing: null, firstMissing: null }
    expect(await archivedAfter(segment(1))).toEqual({
      clusterName: 'after',
      last: null,
      ...nothing,
    })

    const path = await addPath(schedule, 'after-path', [cluster])
    const onSecond = (number: number) => segment(number).replace(/^00000001/, '00000002')
    // 256 segments of 16 MB are one log.
    const beyond = '000000020000000100000000'
    await archive(cluster, path, [
      ...[253, 254].map(segment),
      `${segment(255)}.partial`,
      onSecond(255),
      beyond,
      '00000002.history',
    ])
    const last = { walName: beyond, time: expect.any(Date) }
    expect(await archivedAfter(null)).toMatchObject({ last, ...nothing })
    expect(await archivedAfter(segment(253))).toMatchObject({
      last,
      archived: 3,
      missing: 0,
      firstMissing: null,
    })
    expect(await archivedAfter(segment(250))).toMatchObject({
      archived: 4,
      missing: 2,
      firstMissing: onSecond(251),
    })
    expect(await archivedAfter(beyond)).toMatchObject({ archived: 0, missing: 0 })
    await schedule.rows('update pgarch.arch_path_info set lost_time = now() where id = $1', [path])
    expect(await archivedAfter(segment(253))).toMatchObject({ last: null })
  })
})
