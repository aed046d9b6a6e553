import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { PgarchError } from '../../src/errors.ts'
import { wasDelivered } from '../../src/postgres/delivered.ts'
import { deliverShipped } from '../../src/restore/deliver-shipped.ts'
import { fetch } from '../../src/restore/fetch.ts'
import type { Sources } from '../../src/restore/sources.ts'
import { identifyTarget } from '../../src/restore/target.ts'
import { openFrames, type Shipment, shippedName } from '../../src/stores/shipped-file.ts'
import { makeDataDirectory } from '../support/data-directory.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { sha256 } from '../support/rows.ts'
import { putStored } from '../support/stored.ts'
import { makeSegment } from '../support/wal.ts'

/*
 * What a fetch with --include-shipped makes of the shipped files on two paths, which the configuration
 * file declares. Codes: 40 placed, 44 absent, 46 cannot tell.
 */

const folder = temporaryFolder('shipped-delivery')
afterAll(folder.remove)

const fingerprint = '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
const systemIdentifier = '7239458234598234598'
const walSegmentSize = 1024 * 1024
const walName = '000000010000000000000007'
const whole = makeSegment({ segno: 7, walSegmentSize, systemIdentifier, fill: 5 })

let dataDirectory: string
let own: string
let roots: Record<'berlin' | 'madrid', string>
let said: string

beforeEach(() => {
  own = makeFolder(folder.path, crypto.randomUUID())
  dataDirectory = makeDataDirectory(own, systemIdentifier)
  roots = { berlin: makePath('berlin'), madrid: makePath('madrid') }
  said = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += text
    return true
  })
  return () => vi.restoreAllMocks()
})

const uuids = {
  berlin: '5a1f0f8e-0b7c-4a5e-9df0-6f1d2b8f8f6e',
  madrid: '6a1f0f8e-0b7c-4a5e-9df0-6f1d2b8f8f6e',
}

function makePath(name: keyof typeof uuids): string {
  const root = makeFolder(own, name)
  writeFileSync(join(root, 'pgarch-path'), JSON.stringify({ version: 1, path: uuids[name] }))
  return root
}

let files = 0

/** Ships the segment's first bytes, a part at a time; of another segment with `wal`. Returns the file. */
async function ship(root: string, length: number, of: Partial<Shipment> & { wal?: Buffer } = {}) {
  const { wal = whole, ...rest } = of
  const id = String(++files).padStart(16, '0')
  const shipment = { fingerprint, systemIdentifier, segment: walName, walSegmentSize, id, ...rest }
  const frames = openFrames(shipment, 1)
  const parts = [frames.start]
  for (let at = 0; at < length; at += 100_000) {
    parts.push(await frames.next(wal.subarray(at, Math.min(at + 100_000, length))))
  }
  const file = join(root, shippedName(shipment))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, Buffer.concat(parts))
  return file
}

const target = () => join(dataDirectory, 'pg_wal/RECOVERYXLOG')

async function ask(of: Parameters<typeof asked>[0] = {}) {
  rmSync(target(), { force: true })
  const { request, config } = await asked(of)
  return await fetch(request, config)
}

async function asked({ includeShipped = true, without = [] as string[], name = walName }) {
  const config = join(own, 'pgarch.toml')
  const paths = Object.entries(roots).map(
    ([path, root]) =>
      `[[path]]\nname = "${path}"\nroot = "${root}"\nuuid = "${uuids[path as keyof typeof uuids]}"`,
  )
  writeFileSync(config, ['[fetch]\npaths_complete = true', ...paths].join('\n'))
  const environment = { PGARCH_STATE_DIR: join(own, 'state'), PGARCH_FETCH_PATIENCE: '1ms' }
  const request = {
    workingDirectory: dataDirectory,
    walName: name,
    walPath: 'pg_wal/RECOVERYXLOG',
    clusterName: fingerprint,
    without,
    includeShipped,
    isPlain: false,
    waiting: undefined,
    cleanup: { restart: undefined, keep: 0 },
  }
  return { request, config: await loadConfig({ config }, environment) }
}

function expectPlaced(length: number): void {
  const expected = Buffer.concat([whole.subarray(0, length), Buffer.alloc(walSegmentSize - length)])
  expect(readFileSync(target()).equals(expected)).toBe(true)
}

describe('a segment that is absent, but shipped', () => {
  it('is placed as far as it goes, zeros behind, every time it is asked for', async () => {
    await ship(roots.berlin, 300_000)
    for (let time = 0; time < 2; time++) {
      expect(await ask()).toBe(40)
      expectPlaced(300_000)
      expect(readFileSync(target())).toHaveLength(walSegmentSize)
    }
    expect(said).toMatch(/was placed from the shipped file .*, up to 0\/7493E0/)
    expect(await ask({ includeShipped: false })).toBe(44)
    expect(existsSync(target())).toBe(false)
  })

  it('is remembered, for push to let it pass; a whole one is not', async () => {
    const stateDirectory = join(own, 'state', dataDirectory, '@pgarch')
    await ship(roots.berlin, 300_000)
    await ask()
    const first = sha256(readFileSync(target()))
    await ship(roots.berlin, 400_000)
    await ask()
    const second = sha256(readFileSync(target()))
    for (const one of [first, second]) {
      expect(await wasDelivered(stateDirectory, walName, one)).toBe(true)
    }
    await ship(roots.berlin, walSegmentSize)
    expect(await ask()).toBe(40)
    expectPlaced(walSegmentSize)
    expect(await wasDelivered(stateDirectory, walName, sha256(whole))).toBe(false)
  })

  it('of all paths the longest file counts, and a torn end does not', async () => {
    await ship(roots.berlin, 300_000)
    const torn = await ship(roots.madrid, 500_000)
    writeFileSync(torn, readFileSync(torn).subarray(0, -10))
    expect(await ask()).toBe(40)
    expectPlaced(400_000)
  })

  it('what is archived comes first', async () => {
    await ship(roots.berlin, 300_000)
    await putStored(roots.madrid, fingerprint, { walName, bytes: whole, systemIdentifier })
    expect(await ask()).toBe(40)
    expectPlaced(walSegmentSize)
  })

  it('only of that very segment and timeline', async () => {
    await ship(roots.berlin, 300_000)
    expect(await ask({ name: '000000010000000000000008' })).toBe(44)
    expect(await ask({ name: '000000020000000000000007' })).toBe(44)
    expect(await ask({ name: '00000002.history' })).toBe(44)
  })

  it('less than a header is nothing', async () => {
    await ship(roots.berlin, 39)
    writeFileSync(await ship(roots.madrid, 300_000), '')
    expect(await ask()).toBe(44)
  })
})

describe('cannot tell', () => {
  it('while a path does not answer, which may have more, unless it is left out', async () => {
    await ship(roots.berlin, 300_000)
    const away = await ship(roots.madrid, 500_000)
    renameSync(roots.madrid, `${roots.madrid}.away`)
    expect(away).toContain('madrid')
    expect(await ask()).toBe(46)
    expect(existsSync(target())).toBe(false)
    expect(await ask({ without: ['madrid'] })).toBe(40)
    expectPlaced(300_000)
  })

  it('when two servers have shipped different bytes', async () => {
    const other = Buffer.from(whole)
    other[200_000] = (other[200_000] ?? 0) + 1
    await ship(roots.berlin, 300_000, { wal: other })
    await ship(roots.madrid, 400_000)
    expect(await ask()).toBe(46)
    expect(said).toMatch(/were shipped with different content/)
    expect(existsSync(target())).toBe(false)
  })

  it('when the only file is damaged, or holds no WAL of that segment; a good one counts', async () => {
    const file = await ship(roots.berlin, 300_000)
    const bytes = readFileSync(file)
    bytes[100] = 0
    writeFileSync(file, bytes)
    expect(await ask()).toBe(46)
    expect(said).toMatch(/path "berlin": shipped file .* is damaged/)
    const good = await ship(roots.madrid, 200_000)
    expect(await ask()).toBe(40)
    expectPlaced(200_000)

    for (const one of [file, good]) rmSync(one)
    await ship(roots.madrid, 300_000, { wal: Buffer.alloc(walSegmentSize) })
    expect(await ask()).toBe(46)
    expect(said).toMatch(/what was shipped of .* is not valid: .* invalid magic number/)
    expect(existsSync(target())).toBe(false)
  })
})

describe('meanwhile', () => {
  /**
   * As when the archive has just said that it is absent; `before` comes before each path is asked, `after`
   * when it has answered.
   */
  async function deliver(before: (path: string) => Promise<void>, after = (_path: string) => {}) {
    const { request, config } = await asked({})
    const to = await identifyTarget(request, config)
    const sources: Sources = {
      ...to.sources,
      async withPath(path, limits, use) {
        await before(path.name)
        const answer = await to.sources.withPath(path, limits, use)
        after(path.name)
        return answer
      },
    }
    return await deliverShipped(walName, { ...to, sources }, config)
  }

  it('a path goes out of reach: nothing is placed, as it may have more', async () => {
    await ship(roots.berlin, 300_000)
    const round = await deliver(async (path) => {
      if (path === 'madrid') throw new PgarchError('unreachable', 'no connection')
    })
    expect(round.outcome).toBe('unreachable')
    expect(existsSync(target())).toBe(false)
  })

  it('of the many files of one path only the longest takes space beside %p', async () => {
    for (const length of [200_000, 500_000, 300_000, 500_000]) await ship(roots.berlin, length)
    const held: number[] = []
    const count = (path: string) => {
      const names = readdirSync(dirname(target()))
      if (path === 'berlin') held.push(names.filter((name) => name.endsWith('.tmp')).length)
    }
    expect((await deliver(async () => {}, count)).outcome).toBe('placed')
    expect(held).toEqual([1])
    expectPlaced(500_000)
  })

  it('the segment is archived, and its shipped file goes: the segment is placed', async () => {
    let times = 0
    const round = await deliver(async (path) => {
      if (path !== 'berlin' || ++times !== 2) return
      await putStored(roots.berlin, fingerprint, { walName, bytes: whole, systemIdentifier })
    })
    expect(round.outcome).toBe('placed')
    expectPlaced(walSegmentSize)
  })
})
