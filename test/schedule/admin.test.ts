import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { fetchRoute } from '../../src/schedule/agent.ts'
import {
  createCluster,
  findCluster,
  listClusters,
  listClustersByIdentifier,
  renameCluster,
  requireCluster,
  retireCluster,
  succeedCluster,
  switchCluster,
  updateCluster,
} from '../../src/schedule/clusters.ts'
import type { Schedule } from '../../src/schedule/connect.ts'
import { queryLog } from '../../src/schedule/log.ts'
import { enrolMember, findMember, listMembers } from '../../src/schedule/members.ts'
import {
  findPath,
  insertPath,
  listPaths,
  removePath,
  requirePath,
  setPathActive,
  updatePath,
} from '../../src/schedule/paths.ts'
import { listRoutes, removeRoute, setRoute, setRouteActive } from '../../src/schedule/routes.ts'
import { queryStatus } from '../../src/schedule/status.ts'
import { inTransaction, lockIdentifier } from '../../src/schedule/transaction.ts'
import { startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  createSchedule,
  eventOf,
  localPath,
  recordCopies,
  segment,
  type TestSchedule,
} from './fixture.ts'

let schedule: TestSchedule
beforeAll(async () => {
  schedule = await createSchedule(await startServer(), 'pgarch')
})
const admin = <Result>(use: (s: Schedule) => Promise<Result>) => schedule.asAdmin(use)
const size = 16_777_216

describe('clusters', () => {
  test('are found by name, fingerprint and system identifier', async () => {
    const { fingerprint } = await addCluster(schedule, 'found', '8100')
    for (const reference of ['found', fingerprint, fingerprint.toUpperCase(), '8100']) {
      const cluster = await admin((s) => findCluster(s, reference))
      expect(cluster, reference).toMatchObject({
        fingerprint,
        name: 'found',
        systemIdentifier: '8100',
        walSegmentSize: size,
        switch: 'start',
        active: true,
        previousFingerprint: null,
      })
    }
    expect(await admin((s) => findCluster(s, 'missing'))).toBeUndefined()
    await expect(admin((s) => requireCluster(s, 'missing'))).rejects.toMatchObject({
      failure: 'refused',
      message: 'cluster "missing" does not exist',
    })
  })

  test('with one identifier twice must be named otherwise', async () => {
    await addCluster(schedule, 'twin', '8200')
    await addCluster(schedule, 'other-twin', '8200')
    await expect(admin((s) => findCluster(s, '8200'))).rejects.toThrow('can be one of 2 clusters')
  })

  test('have names of their own, until they retire', async () => {
    const cluster = await addCluster(schedule, 'unique')
    const again = { name: 'unique', systemIdentifier: '8300', walSegmentSize: size }
    await expect(admin((s) => createCluster(s, again))).rejects.toMatchObject({
      failure: 'refused',
      message: 'another cluster has this name',
    })
    await admin((s) => retireCluster(s, cluster.fingerprint))
    const { fingerprint } = await admin((s) => createCluster(s, again))
    expect(await admin((s) => findCluster(s, 'unique'))).toMatchObject({ fingerprint })
    const listed = await admin((s) => listClusters(s, { retired: true }))
    expect(listed.filter(({ name }) => name === 'unique')).toHaveLength(2)
    expect((await admin(listClusters)).filter(({ name }) => name === 'unique')).toHaveLength(1)
  })

  test('are changed where asked, and only there', async () => {
    const { fingerprint } = await addCluster(schedule, 'changing')
    const properties = { idc: 'east', platform: 'vm', version: '15', vip: '10.1.2.3', port: 5433 }
    await admin(async (s) => {
      await updateCluster(s, fingerprint, properties)
      await updateCluster(s, fingerprint, { platform: null, host: 'db1' })
      await updateCluster(s, fingerprint, {})
      await renameCluster(s, fingerprint, 'changed')
      const stop = { switch: 'stop', reason: 'no need', author: 'bob' } as const
      await switchCluster(s, fingerprint, stop)
    })
    const cluster = await admin((s) => findCluster(s, 'changed'))
    expect(cluster).toMatchObject({ ...properties, platform: null, host: 'db1' })
    expect(cluster).toMatchObject({ switch: 'stop', switchReason: 'no need', switchAuthor: 'bob' })
    expect(cluster?.switchTime).toBeInstanceOf(Date)
  })

  test('after pg_upgrade have a successor with the same name and routes', async () => {
    const old = await addCluster(schedule, 'pg15', '8400')
    const path = await addPath(schedule, 'pg15-path', [old], 33)
    const successor = { name: 'pg15', systemIdentifier: '8401', walSegmentSize: size }
    const created = await admin((s) => succeedCluster(s, old.fingerprint, successor))
    expect(created).toMatchObject({ previousFingerprint: old.fingerprint, active: true })
    expect(await admin((s) => listRoutes(s, created.fingerprint))).toMatchObject([
      { pathId: path, priority: 33 },
    ])
    expect(await admin((s) => listRoutes(s, old.fingerprint))).toHaveLength(1)
    expect(await admin((s) => findCluster(s, old.fingerprint))).toMatchObject({ active: false })
    expect(await admin((s) => listClustersByIdentifier(s, '8400'))).toEqual([])
    const twice = admin((s) => succeedCluster(s, old.fingerprint, successor))
    await expect(twice).rejects.toMatchObject({ failure: 'refused' })
  })

  test('registered at once under one identifier wait for one another', async () => {
    const register = () =>
      admin((s) =>
        inTransaction(s, async () => {
          await lockIdentifier(s, '8500')
          const known = await listClustersByIdentifier(s, '8500')
          if (known.length > 0) return 'known'
          await createCluster(s, { name: 'raced', systemIdentifier: '8500', walSegmentSize: size })
          return 'created'
        }),
      )
    const outcomes = await Promise.all([register(), register(), register(), register()])
    expect(outcomes.toSorted()).toEqual(['created', 'known', 'known', 'known'])
  })
})

describe('members', () => {
  test('are known by id and credential together, while the cluster is not retired', async () => {
    const cluster = await addCluster(schedule, 'team')
    const { fingerprint, member } = cluster
    const host = { host: 'second', dataDirectory: '/srv/data' }
    const second = await admin((s) => enrolMember(s, fingerprint, host))
    expect(Buffer.from(second.credential, 'base64url')).toHaveLength(32)
    const found = { fingerprint, name: 'team' }
    expect(await admin((s) => findMember(s, member))).toEqual(found)
    const mixed = { memberId: member.memberId, credential: second.credential }
    expect(await admin((s) => findMember(s, mixed))).toBeUndefined()
    const listed = await admin((s) => listMembers(s, fingerprint))
    expect(listed.map((one) => [one.host, one.lastSeen])).toEqual([
      ['second', null],
      ['team-host', null],
    ])
    expect(JSON.stringify(listed)).not.toContain('credential')
    await admin((s) => retireCluster(s, fingerprint))
    expect(await admin((s) => findMember(s, member))).toBeUndefined()
  })
})

describe('paths', () => {
  const sftp = {
    kind: 'sftp',
    rootPath: '/archive',
    sshHost: 'backup.example',
    sshIp: '10.0.0.9',
    sshPort: 22,
    sshUser: 'pgarch',
    hostKey: 'ssh-ed25519 AAAA',
  } as const

  test('keep what was said of them', async () => {
    const uuid = randomUUID()
    const id = await admin((s) =>
      insertPath(s, { ...sftp, name: 'kept', uuid, capacityBytes: 9e12 }),
    )
    const { capacityBytes } = await admin((s) => requirePath(s, 'kept'))
    expect(capacityBytes).toBe(9e12)
    expect(await admin((s) => findPath(s, 'kept'))).toMatchObject({
      ...sftp,
      id,
      uuid,
      clusters: 0,
    })
    const moved = { ...sftp, name: 'kept', sshHost: '10.0.0.8', sshIp: null, sshPort: 2222 }
    await admin((s) => updatePath(s, id, moved))
    const path = await admin((s) => requirePath(s, 'kept'))
    expect(path).toMatchObject({ sshHost: '10.0.0.8', sshIp: '10.0.0.8', sshPort: 2222 })
    expect(path.capacityBytes).toBe(9e12)
    await admin((s) => removePath(s, id))
    expect(await admin((s) => findPath(s, 'kept'))).toBeUndefined()
    await expect(admin((s) => requirePath(s, 'kept'))).rejects.toMatchObject({ failure: 'refused' })
  })

  test('have names and places of their own', async () => {
    await admin((s) => insertPath(s, { ...sftp, name: 'taken', uuid: randomUUID() }))
    const other = { ...sftp, sshIp: '10.0.0.10', uuid: randomUUID() }
    const add = (path: Parameters<typeof insertPath>[1]) => admin((s) => insertPath(s, path))
    await expect(add({ ...other, sshHost: 'b', name: 'taken' })).rejects.toThrow('has this name')
    await expect(add({ ...other, name: 'free' })).rejects.toThrow('has this host and root')
    const sameIp = { ...other, sshHost: 'alias.example', sshIp: sftp.sshIp, name: 'free' }
    await expect(add(sameIp)).rejects.toThrow('has this address and root')
    const keyless = { ...other, sshHost: 'b', name: 'free', hostKey: null }
    await expect(add(keyless)).rejects.toThrow('arch_path_info_address_check')
  })

  test('are not removed while they are in a route or hold files', async () => {
    const cluster = await addCluster(schedule, 'holder')
    const id = await addPath(schedule, 'held', [cluster])
    const remove = () => admin((s) => removePath(s, id))
    await expect(remove()).rejects.toMatchObject({
      failure: 'refused',
      message: 'the path is in the route of a cluster',
    })
    await schedule.asAgent((s) => recordCopies(s, cluster.member, [eventOf(segment(1), id)]))
    const unroute = () => admin((s) => removeRoute(s, cluster.fingerprint, id))
    await expect(unroute()).rejects.toMatchObject({
      failure: 'refused',
      message: 'the path holds archived files of this cluster',
    })
    await schedule.rows('delete from pgarch.arch_path_map where path_id = $1', [id])
    await expect(unroute()).rejects.toThrow("not in the cluster's route")
    await expect(remove()).rejects.toMatchObject({
      failure: 'refused',
      message: 'the path holds archived files',
    })
    await schedule.rows('delete from pgarch.arch_copy where path_id = $1', [id])
    await remove()
    expect((await admin(listPaths)).map((path) => path.id)).not.toContain(id)
  })
})

test('routes are set, changed, switched and removed', async () => {
  const cluster = await addCluster(schedule, 'router')
  const [low, high] = [await addPath(schedule, 'low', []), await addPath(schedule, 'high', [])]
  const { fingerprint } = cluster
  const listed = async () =>
    (await admin((s) => listRoutes(s, fingerprint))).map(({ pathName, priority, active }) => [
      pathName,
      priority,
      active,
    ])
  await admin((s) => setRoute(s, fingerprint, low, 1))
  await admin((s) => setRoute(s, fingerprint, high, -1))
  await admin((s) => setRoute(s, fingerprint, high, 2))
  await admin((s) => setRouteActive(s, fingerprint, low, false))
  expect(await listed()).toEqual([
    ['high', 2, true],
    ['low', 1, false],
  ])
  await admin((s) => removeRoute(s, fingerprint, high))
  expect(await listed()).toEqual([['low', 1, false]])
  const gone = admin((s) => setRouteActive(s, fingerprint, high, true))
  await expect(gone).rejects.toThrow("not in the cluster's route")
})

test('the version of a route grows with every change that matters, and with no other', async () => {
  const cluster = await addCluster(schedule, 'versioned')
  const bystander = await addCluster(schedule, 'bystander')
  const id = await addPath(schedule, 'versioned-path', [])
  await addPath(schedule, 'bystander-path', [bystander])
  const { fingerprint } = cluster
  const versions = async () => {
    const sql = 'select route_version from pgarch.arch_db_info where id = any ($1) order by name'
    const rows = await schedule.rows(sql, [[fingerprint, bystander.fingerprint]])
    return rows.map((row) => Number(row.route_version))
  }
  const path = { ...localPath, name: 'versioned-path', rootPath: '/elsewhere' }
  const turn = { switch: 'pause', reason: 'x', author: 'alice' } as const
  const changes: [string, number, (s: Schedule) => Promise<unknown>][] = [
    ['route set', 1, (s) => setRoute(s, fingerprint, id, 1)],
    ['the same again', 0, (s) => setRoute(s, fingerprint, id, 1)],
    ['another priority', 1, (s) => setRoute(s, fingerprint, id, 2)],
    ['route disabled', 1, (s) => setRouteActive(s, fingerprint, id, false)],
    ['path disabled', 1, (s) => setPathActive(s, id, false)],
    ['path moved', 1, (s) => updatePath(s, id, path)],
    ['capacity', 0, (s) => updatePath(s, id, { ...path, capacityBytes: 5 })],
    ['paused', 1, (s) => switchCluster(s, fingerprint, turn)],
    ['for another reason', 1, (s) => switchCluster(s, fingerprint, { ...turn, reason: 'y' })],
    ['renamed', 1, (s) => renameCluster(s, fingerprint, 'versioned-2')],
    ['described', 0, (s) => updateCluster(s, fingerprint, { platform: 'vm' })],
    ['route removed', 1, (s) => removeRoute(s, fingerprint, id)],
    ['another cluster', 0, (s) => setRoute(s, bystander.fingerprint, id, 2)],
    ['retired', 1, (s) => retireCluster(s, fingerprint)],
  ]
  let [other = 0, version = 0] = await versions()
  for (const [change, growth, make] of changes) {
    await admin(make)
    if (change === 'another cluster') other++
    version += growth
    expect(await versions(), change).toEqual([other, version])
  }
})

describe('reports', () => {
  test('the log is filtered by cluster, failure and time, the newest first', async () => {
    const cluster = await addCluster(schedule, 'reported')
    const path = await addPath(schedule, 'reported-path', [cluster])
    const at = (minutesAgo: number) => new Date(Date.now() - minutesAgo * 60_000)
    const events = [1, 2, 3, 4].map((minutes) =>
      eventOf(segment(minutes), path, {
        time: at(minutes),
        status: minutes % 2 === 0 ? 'failed' : 'stored',
      }),
    )
    await schedule.asAgent((s) => recordCopies(s, cluster.member, events))
    const all = { fingerprint: cluster.fingerprint, failedOnly: false, since: null, limit: 100 }
    const names = async (filter: Partial<typeof all> | { since: Date }) =>
      (await admin((s) => queryLog(s, { ...all, ...filter }))).map(({ walName }) => walName)
    expect(await names({})).toEqual([1, 2, 3, 4].map(segment))
    expect(await names({ failedOnly: true })).toEqual([2, 4].map(segment))
    expect(await names({ since: at(2.5) })).toEqual([1, 2].map(segment))
    expect(await names({ limit: 1 })).toEqual([segment(1)])
    const fleet = await admin((s) => queryLog(s, { ...all, fingerprint: null }))
    expect(fleet.map(({ clusterName }) => clusterName)).toContain('reported')
  })

  test('status says how each cluster does, and the monitor may ask', async () => {
    const cluster = await addCluster(schedule, 'healthy')
    const path = await addPath(schedule, 'healthy-path', [cluster], 7)
    await schedule.asAgent(async (s) => {
      await fetchRoute(s, cluster.member, [])
      await recordCopies(s, cluster.member, [eventOf(segment(1), path)])
    })
    const [status] = await admin(async (s) => {
      await s.query('set role pgarch_monitor')
      await queryLog(s, { fingerprint: null, failedOnly: true, since: null, limit: 1 })
      await listMembers(s, null)
      await listRoutes(s, null)
      await listPaths(s)
      return await queryStatus(s, cluster.fingerprint)
    })
    expect(status).toMatchObject({
      name: 'healthy',
      switch: 'start',
      route: [{ path: 'healthy-path', priority: 7, active: true }],
      lastWalName: segment(1),
      failures: 0,
      openConflicts: 0,
      droppedFiles: 0,
      localFiles: 0,
      members: [{ host: 'healthy-host', lastSeen: expect.any(Date) }],
    })
    const all = await admin((s) => queryStatus(s, null))
    expect(all.map(({ name }) => name)).toContain('healthy')
    expect(all.every(({ active }) => active)).toBe(true)
  })
})
