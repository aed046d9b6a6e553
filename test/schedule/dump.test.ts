import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchRoute } from '../../src/schedule/agent.ts'
import { retireCluster, succeedCluster, switchCluster } from '../../src/schedule/clusters.ts'
import { readDump, type ScheduleDump } from '../../src/schedule/dump.ts'
import { parseDump } from '../../src/schedule/dump-file.ts'
import { loadDump } from '../../src/schedule/load.ts'
import { insertPath, setPathActive } from '../../src/schedule/paths.ts'
import { setRoute, setRouteActive } from '../../src/schedule/routes.ts'
import type { Membership } from '../../src/schedule/types.ts'
import { type Server, startServer } from '../support/postgres.ts'
import { addCluster, addPath, createSchedule, localPath, type TestSchedule } from './fixture.ts'

let server: Server
let source: TestSchedule
let member: Membership
let dump: ScheduleDump
let target: TestSchedule
let databases = 0

/** A fleet with something of everything. */
beforeAll(async () => {
  server = await startServer()
  source = await createSchedule(server, 'source')
  const app = await addCluster(source, 'app')
  member = app.member
  const old = await addCluster(source, 'old')
  const berlin = await addPath(source, 'berlin', [app, old], 10)
  const hamburg = await source.asAdmin((schedule) =>
    insertPath(schedule, {
      ...localPath,
      kind: 'sftp',
      name: 'hamburg',
      uuid: randomUUID(),
      sshHost: 'hamburg.example',
      sshIp: '127.0.0.9',
      sshPort: 2222,
      sshUser: 'archive',
      hostKey: 'ssh-ed25519 AAAA',
      capacityBytes: 5_000_000_000_000,
      reserveBytes: 12_345,
    }),
  )
  await source.asAdmin(async (schedule) => {
    await setRoute(schedule, app.fingerprint, hamburg, 20)
    await setRouteActive(schedule, app.fingerprint, berlin, false)
    await setPathActive(schedule, hamburg, false)
    const change = { switch: 'pause', reason: 'a "move"', author: 'ada' } as const
    await switchCluster(schedule, app.fingerprint, change)
    await succeedCluster(schedule, old.fingerprint, {
      name: 'old',
      systemIdentifier: '18446744073709551615',
      walSegmentSize: 1_048_576,
      vip: '127.0.0.7',
      port: 5432,
      platform: '',
    })
    await retireCluster(schedule, (await addCluster(source, 'gone')).fingerprint)
    await schedule.query(
      `update pgarch.arch_path_info
       set lost_time = now(), lost_by = 'ada', lost_reason = 'fire' where id = $1`,
      [
        await insertPath(schedule, {
          ...localPath,
          name: 'lost',
          uuid: randomUUID(),
          rootPath: '/l',
        }),
      ],
    )
  })
  dump = await source.asAdmin(readDump)
})

beforeEach(async () => {
  target = await createSchedule(server, `target${++databases}`)
})

/** As it comes back from a file. */
const reread = (of: unknown = dump) => parseDump(JSON.stringify(of), 'fleet.json')
const load = (of: ScheduleDump) => target.asAdmin((schedule) => loadDump(schedule, of))

it('what was loaded is dumped as it was, byte by byte, and can be loaded again', async () => {
  expect(await load(reread())).toBe('loaded')
  const again = await target.asAdmin(readDump)
  expect(JSON.stringify(again)).toBe(JSON.stringify(dump))
  expect(dump.clusters.map(({ name }) => name)).toEqual(['app', 'gone', 'old', 'old'])
  expect(dump.clusters[0]?.route.map(({ priority }) => priority)).toEqual([20, 10])
  expect(dump.paths).toHaveLength(3)
  const times =
    'select name, create_time::text, switch_time::text from pgarch.arch_db_info order by id'
  expect(await target.rows(times)).toEqual(await source.rows(times))
  expect(await load(reread())).toBe('matches')
})

it('hosts need not register again, and take the route for a new one', async () => {
  const routeIn = (of: TestSchedule) =>
    of.asAgent(async (schedule) => (await fetchRoute(schedule, member, [])).route)
  const before = await routeIn(source)
  await load(reread())
  const after = await routeIn(target)
  expect({ ...after, version: 0 }).toEqual({ ...before, version: 0 })
  expect(after.version).toBeGreaterThan(before.version + 1_000_000)
})

it('archiving alone changes nothing in the dump', async () => {
  await source.asAgent((schedule) => fetchRoute(schedule, member, []))
  expect(JSON.stringify(await source.asAdmin(readDump))).toBe(JSON.stringify(dump))
})

it('a path that is added after a load gets a number of its own', async () => {
  await load(reread())
  expect(await addPath(target, 'new', [])).toBe(4)
})

it('whatever else the database holds is told, and nothing is changed', async () => {
  await load(reread())
  await target.rows("update pgarch.arch_db_info set switch = 'stop', idc = 'b' where name = 'app'")
  await target.rows(
    'update pgarch.arch_path_map set priority = 7 where path_id = 1 and priority = 10',
  )
  await target.rows("delete from pgarch.arch_path_info where name = 'lost'")
  await target.asAdmin((schedule) =>
    insertPath(schedule, { ...localPath, name: 'more', rootPath: '/m', uuid: randomUUID() }),
  )
  const before = JSON.stringify(await target.asAdmin(readDump))
  await expect(load(reread())).rejects.toMatchObject({
    failure: 'refused',
    message: expect.stringMatching(
      /path "more" \(.*\) is not in the dump; cluster "app" \(.*\) differs in idc, switch, route; .*path "lost" \(.*\) is in the dump alone/,
    ),
  })
  expect(JSON.stringify(await target.asAdmin(readDump))).toBe(before)
})

it('a dump that fails half-way leaves nothing behind', async () => {
  const clusters = dump.clusters.map((one) => ({ ...one, name: 'same', active: true }))
  const twice = { ...dump, clusters }
  await expect(load(reread(twice))).rejects.toMatchObject({
    failure: 'refused',
    message: 'another cluster has this name',
  })
  expect(await target.asAdmin(readDump)).toMatchObject({ paths: [], clusters: [] })
})

describe('a file that is no usable dump is refused', () => {
  type Loose = Record<string, unknown> & {
    paths: Record<string, unknown>[]
    clusters: (Record<string, unknown> & { route: object[]; members: object[] })[]
  }
  it.each<[string, (of: Loose) => unknown, RegExp]>([
    ['other JSON', () => [], /not what "pgarch schedule dump" writes/],
    ['a newer version', (of) => ({ ...of, version: 2 }), /it has version 2/],
    ['a list missing', ({ paths: _, ...of }) => of, /"paths" of it is not a list/],
    ['a field missing', (of) => drop(of.paths[0], 'uuid'), /"uuid" of paths\[0\] is not valid/],
    ['an unknown field', (of) => set(of.clusters[1], 'colour', 1), /clusters\[1\] .*"colour"/],
    ['a wrong kind', (of) => set(of.clusters[0], 'switch', 'on'), /"switch" of clusters\[0\]/],
    ['no object', (of) => set(of, 'paths', [null]), /paths\[0\] is not an object/],
    ['a path twice', (of) => of.paths.push({ ...of.paths[0] }), /path 1 is there twice/],
    ['a cluster twice', (of) => of.clusters.push(of.clusters[0] as never), /is there twice/],
    [
      'a route to nowhere',
      (of) => of.clusters[0]?.route.push({ path: 9, priority: 1, active: true }),
      /"app" has path 9 in its route/,
    ],
    [
      'no predecessor',
      (of) => set(of.clusters[0], 'previousFingerprint', randomUUID()),
      /"app" succeeds cluster/,
    ],
    [
      'a damaged member',
      (of) => set(of.clusters[0]?.members[0] as never, 'credentialSha256', 'x'),
      /"credentialSha256" of members\[0\]/,
    ],
  ])('%s', (_, spoil, message) => {
    const copy = structuredClone(dump) as unknown as Loose
    const spoilt = spoil(copy)
    const text = JSON.stringify(typeof spoilt === 'object' && spoilt !== null ? spoilt : copy)
    const refused = expect.objectContaining({
      failure: 'refused',
      message: expect.stringMatching(message),
    })
    expect(() => parseDump(text, 'fleet.json')).toThrow(refused)
  })

  it('cut off', () => {
    const text = JSON.stringify(dump)
    expect(() => parseDump(text.slice(0, -1), 'fleet.json')).toThrow(/not what .* writes/)
  })

  /** Both return nothing, as the whole was changed in place. */
  function drop(from: Record<string, unknown> | undefined, name: string): void {
    delete from?.[name]
  }

  function set(on: Record<string, unknown> | undefined, name: string, value: unknown): void {
    Object.assign(on ?? {}, { [name]: value })
  }
})
