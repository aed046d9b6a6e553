import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { writeMember } from '../../src/postgres/member.ts'
import { fetch } from '../../src/restore/fetch.ts'
import { search } from '../../src/restore/search.ts'
import { ownSources } from '../../src/restore/sources.ts'
import type { Whereabouts } from '../../src/restore/whereabouts.ts'
import { cachePaths, cacheRoute } from '../../src/schedule/cached-route.ts'
import type { SchedulePath } from '../../src/schedule/types.ts'
import { encodeManifest } from '../../src/stores/manifest.ts'
import { makeDataDirectory } from '../support/data-directory.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { putStored } from '../support/stored.ts'
import { makeHistory, makeSegment } from '../support/wal.ts'

/*
 * A fetch while nobody answers at the scheduling database's port, with what the host keeps and its
 * configuration declares. Codes: 40 placed, 44 absent, 46 cannot tell.
 */

const folder = temporaryFolder('places')
afterAll(folder.remove)

const fingerprint = '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
const otherFingerprint = '1c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
const systemIdentifier = '7239458234598234598'
const walSegmentSize = 1024 * 1024
const walName = '000000010000000000000007'
const missing = '000000010000000000000008'

interface Place {
  readonly name: string
  readonly uuid: string
  readonly root: string
}

let dataDirectory: string
let stateDirectory: string
let berlin: Place
let madrid: Place
let said: string

beforeEach(async () => {
  const own = makeFolder(folder.path, crypto.randomUUID())
  dataDirectory = makeDataDirectory(own, systemIdentifier)
  stateDirectory = join(own, 'state', dataDirectory, '@pgarch')
  mkdirSync(stateDirectory, { recursive: true })
  berlin = makePlace(own, 'berlin')
  madrid = makePlace(own, 'madrid')
  said = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += text
    return true
  })
  await put(berlin)
  return () => vi.restoreAllMocks()
})

function makePlace(parent: string, name: string): Place {
  const root = makeFolder(parent, name)
  const uuid = crypto.randomUUID()
  writeFileSync(join(root, 'pgarch-path'), JSON.stringify({ version: 1, path: uuid, name }))
  return { name, uuid, root }
}

/** Stores the segment; other content with another `fill`, too large with a `surplus`. */
function put({ root }: Place, { fill = 0, size = walSegmentSize, surplus = 0 } = {}) {
  const segment = makeSegment({ segno: 7, walSegmentSize: size, systemIdentifier, fill })
  const bytes = Buffer.concat([segment, Buffer.alloc(surplus)])
  return putStored(root, fingerprint, { walName, bytes, systemIdentifier })
}

function putManifest({ root }: Place, of: string, name: string, identifier = systemIdentifier) {
  mkdirSync(join(root, of), { recursive: true })
  const manifest = { fingerprint: of, name, systemIdentifier: identifier, walSegmentSize }
  writeFileSync(join(root, of, 'manifest.json'), encodeManifest(manifest))
}

async function registerAs(cluster: string): Promise<void> {
  await writeMember(stateDirectory, {
    fingerprint: cluster,
    memberId: '2c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11',
    credential: 'secret',
    systemIdentifier,
    walSegmentSize,
  })
}

function described({ name, uuid, root }: Place, id: number): SchedulePath {
  const noSsh = { sshHost: null, sshPort: null, sshUser: null, hostKey: null }
  const path = { id, uuid, name, kind: 'local' as const, rootPath: root, ...noSsh }
  return { ...path, reserveBytes: 0, priority: id }
}

interface Asked {
  readonly declared?: readonly Place[]
  readonly complete?: boolean
  readonly cluster?: string
  readonly without?: readonly string[]
  readonly as?: 'RECOVERYXLOG' | 'segment'
}

async function ask(name: string, asked: Asked = {}): Promise<number> {
  const { declared = [], complete = false, cluster, without = [] } = asked
  const tables = declared.map((one) => `[[path]]\n${toml({ ...one })}`)
  const config = join(dataDirectory, '..', 'pgarch.toml')
  writeFileSync(config, [`[fetch]\npaths_complete = ${complete}`, ...tables].join('\n'))
  rmSync(join(dataDirectory, 'pg_wal/RECOVERYXLOG'), { force: true })
  return await fetch(
    {
      workingDirectory: dataDirectory,
      walName: name,
      walPath: 'pg_wal/RECOVERYXLOG',
      clusterName: cluster ?? null,
      without,
      isPlain: true,
      includeShipped: false,
      waiting: undefined,
      cleanup: { restart: undefined, keep: 0 },
    },
    await loadConfig(
      { config, schedule: 'postgresql://nobody@127.0.0.1:1/pgarch' },
      {
        PGARCH_STATE_DIR: join(dataDirectory, '..', 'state'),
        PGARCH_FETCH_PATIENCE: '1ms',
      },
    ),
  )
}

function toml(fields: Record<string, string>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    .join('\n')
}

const isPlaced = () => existsSync(join(dataDirectory, 'pg_wal/RECOVERYXLOG'))
const breakPath = ({ root }: Place) => renameSync(root, `${root}.away`)

describe('on a registered host', () => {
  beforeEach(() => registerAs(fingerprint))

  it('the paths that it kept give what they have, and nothing is absent', async () => {
    expect(await ask(walName)).toBe(46)
    await cachePaths(stateDirectory, { fingerprint, paths: [described(berlin, 1)] })
    expect(await ask(walName)).toBe(40)
    expect(isPlaced()).toBe(true)
    expect(await ask(missing)).toBe(46)
    expect(said).toContain('scheduling database at 127.0.0.1:1')
    expect(await ask('00000002.history')).toBe(46)
  })

  it('so do those of the route, of this cluster alone, and the declared ones', async () => {
    const route = { clusterName: 'app', version: 1, switch: 'start' as const }
    const paths = [described(madrid, 1), described(berlin, 2)]
    const nobody = { switchReason: null, switchAuthor: null }
    const cached = { ...route, ...nobody, paths }
    await cacheRoute(stateDirectory, { ...cached, fingerprint: otherFingerprint })
    expect(await ask(walName)).toBe(46)
    expect(await ask(walName, { declared: [berlin] })).toBe(40)
    await cacheRoute(stateDirectory, { ...cached, fingerprint })
    expect(await ask(walName)).toBe(40)
    breakPath(madrid)
    expect(await ask(walName)).toBe(40)
    expect(await ask(missing)).toBe(46)
  })

  it('paths kept of another cluster, or another cluster wanted, say nothing', async () => {
    await cachePaths(stateDirectory, {
      fingerprint: otherFingerprint,
      paths: [described(berlin, 1)],
    })
    expect(await ask(walName)).toBe(46)
    await cachePaths(stateDirectory, { fingerprint, paths: [described(berlin, 1)] })
    expect(await ask(walName, { cluster: 'other' })).toBe(46)
    expect(await ask(walName, { cluster: fingerprint })).toBe(40)
  })

  it('different content on two paths: neither is placed, until one is left out', async () => {
    await put(madrid)
    const paths = [described(berlin, 1), described(madrid, 2)]
    await cachePaths(stateDirectory, { fingerprint, paths })
    expect(await ask(walName)).toBe(40)
    await put(madrid, { fill: 1 })
    expect(await ask(walName)).toBe(46)
    expect(said).toContain(`paths hold different content as "${walName}"`)
    expect(isPlaced()).toBe(false)
    expect(await ask(walName, { without: ['madrid'] })).toBe(40)
    expect(said).toContain(`WARNING:  path "madrid" is left out, whatever it holds of "${walName}"`)
  })

  it('a timeline history that was set aside since is not remembered against the one that took its place', async () => {
    const history = '00000002.history'
    const first = makeHistory([[1, '0/3000000']])
    const second = makeHistory([[1, '0/4000000']])
    await cachePaths(stateDirectory, { fingerprint, paths: [described(berlin, 1)] })
    for (const bytes of [first, second]) {
      await putStored(berlin.root, fingerprint, { walName: history, bytes, systemIdentifier })
      expect(await ask(history)).toBe(40)
    }
    breakPath(berlin)
    expect(await ask(history)).toBe(40)
    expect(readFileSync(join(dataDirectory, 'pg_wal/RECOVERYXLOG'))).toEqual(second)
  })

  it('a standby passes over what failed just now; archive recovery asks again', async () => {
    await cachePaths(stateDirectory, { fingerprint, paths: [described(berlin, 1)] })
    writeFileSync(join(dataDirectory, 'standby.signal'), '')
    breakPath(berlin)
    expect(await ask(walName)).toBe(46)
    expect(said).toContain('has no pgarch-path')
    expect(said).toContain('scheduling database at')
    renameSync(`${berlin.root}.away`, berlin.root)
    said = ''
    expect(await ask(walName)).toBe(46)
    expect(said).toContain('the scheduling database failed lately')
    expect(said).toContain('path "berlin" failed lately')
    expect(said).not.toContain('scheduling database at')
    rmSync(join(dataDirectory, 'standby.signal'))
    expect(await ask(walName)).toBe(40)
  })
})

it('absent where WAL was dropped or lost is said with what it costs', async () => {
  const location = {
    ...{ fingerprint, systemIdentifier, walSegmentSize, file: null, incomplete: null },
    ...{ paths: [{ ...described(madrid, 1), hasCopy: false }], localMembers: [] },
  }
  const expected = { walName: missing, systemIdentifier, walSegmentSize, sha256: null }
  const walPath = join(dataDirectory, 'pg_wal/RECOVERYXLOG')
  const config = await loadConfig({}, { PGARCH_CONFIG: undefined })
  const searched = async (
    losses: Pick<Whereabouts, 'dropped' | 'lostPaths' | 'lostHosts' | 'cleanedPaths'>,
  ) => {
    const whereabouts = { ...location, ...losses, withoutPaths: [] }
    const nobody = { own: undefined, rests: undefined, sources: ownSources(config) }
    const wanted = { location: whereabouts, expected, walPath, expires: Infinity, ...nobody }
    const { outcome, doubts } = await search(wanted, config)
    return [outcome, ...doubts.map(({ message }) => message)]
  }
  const nothing = { dropped: false, lostPaths: [], lostHosts: [], cleanedPaths: [] }
  const all = { dropped: true, lostPaths: ['rome'], lostHosts: ['db1'], cleanedPaths: ['own'] }
  expect(await searched(nothing)).toEqual(['absent'])
  expect(await searched(all)).toEqual([
    'absent',
    `"${missing}" was archived on path "rome", which is lost`,
    `"${missing}" was in the local archive of host "db1", which is lost`,
    `"${missing}" was removed from path "own" by "pgarch cleanup"`,
    `"${missing}" was dropped while archiving was stopped`,
  ])
})

describe('with a complete list of declared paths', () => {
  const both = () => ({ declared: [berlin, madrid], complete: true, cluster: fingerprint })

  it('nobody asks the scheduling database, and what is on none of them is absent', async () => {
    expect(await ask(walName, both())).toBe(40)
    expect(await ask(missing, both())).toBe(44)
    expect(said).toBe('')
    breakPath(madrid)
    expect(await ask(walName, both())).toBe(40)
    expect(await ask(missing, both())).toBe(46)
    expect(await ask(missing, { ...both(), without: ['madrid'] })).toBe(44)
    expect(said).toContain(`"${missing}" may be on path "madrid", which was left out`)
  })

  it('but a list that is not said to be complete never makes anything absent', async () => {
    const some = { ...both(), complete: false }
    expect(await ask(walName, some)).toBe(40)
    expect(await ask(missing, some)).toBe(46)
  })

  it('without any it is a mistake', async () => {
    expect(await ask(missing, { complete: true, cluster: fingerprint })).toBe(46)
    expect(said).toContain('no path is declared')
  })

  it('a copy whose size its header denies is damaged, also when nobody knows the right one', async () => {
    await put(berlin, { size: 2 * walSegmentSize })
    expect(await ask(walName, both())).toBe(40)
    await put(berlin, { surplus: walSegmentSize })
    expect(await ask(walName, both())).toBe(46)
    expect(said).toContain('is not valid')
  })

  describe('and no fingerprint given', () => {
    const unnamed = () => ({ declared: [berlin, madrid], complete: true })

    it('the only manifest with this system identifier tells the cluster, on whichever path', async () => {
      expect(await ask(walName, unnamed())).toBe(46)
      expect(said).toContain('name no cluster with system identifier')
      putManifest(madrid, otherFingerprint, 'stranger', '7000000000000000000')
      expect(await ask(walName, unnamed())).toBe(46)
      putManifest(madrid, fingerprint, 'app')
      expect(await ask(walName, unnamed())).toBe(40)
      putManifest(berlin, fingerprint, 'app')
      expect(await ask(walName, unnamed())).toBe(40)
      expect(await ask(missing, unnamed())).toBe(44)
    })

    it('of two, the name tells; without one, nobody can', async () => {
      putManifest(berlin, fingerprint, 'app')
      putManifest(madrid, otherFingerprint, 'copy')
      expect(await ask(walName, unnamed())).toBe(46)
      expect(said).toContain('more than one cluster')
      expect(await ask(walName, { ...unnamed(), cluster: 'app' })).toBe(40)
      expect(await ask(walName, { ...unnamed(), cluster: 'copy' })).toBe(44)
    })

    it('a manifest that cannot be read, or a path that does not answer, leaves it open', async () => {
      putManifest(berlin, fingerprint, 'app')
      breakPath(madrid)
      expect(await ask(walName, unnamed())).toBe(46)
      expect(await ask(walName, { ...unnamed(), without: ['madrid'] })).toBe(40)
      renameSync(`${madrid.root}.away`, madrid.root)
      putManifest(madrid, otherFingerprint, 'x')
      writeFileSync(join(madrid.root, otherFingerprint, 'manifest.json'), '{}')
      expect(await ask(walName, unnamed())).toBe(46)
      expect(said).toContain('cannot be understood')
    })

    it('a membership tells too', async () => {
      await registerAs(fingerprint)
      expect(await ask(walName, unnamed())).toBe(40)
      expect(await ask(missing, unnamed())).toBe(44)
    })
  })
})
