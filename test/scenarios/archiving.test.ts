import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { markReady } from '../support/data-directory.ts'
import {
  archiveSegment,
  endNoisySegment,
  endRests,
  endSegment,
  type Fleet,
  startFleet,
  storedFile,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { ownByUnprivileged } from '../support/folder.ts'
import { type Line, startLine } from '../support/line.ts'
import { type Server, serverVersions, startServer } from '../support/postgres.ts'
import { promote, startRestored, streamingFrom, takeBackup } from '../support/restored.ts'
import { copiesOf, filesOf, fingerprintOf, triesOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { makeSegment } from '../support/wal.ts'

let fleet: Fleet
let sshd: Sshd
let line: Line
let roots: Record<'berlin' | 'madrid', string>

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  line = await startLine(sshd)
  roots = {
    berlin: await fleet.addPath('berlin', { sshd: { ...sshd, port: line.port } }),
    madrid: await fleet.addPath('madrid'),
  }
})

afterAll(() => line.close())

/** WAL files with a final name below a path's root. */
function storedBelow(root: string, fingerprint: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.startsWith(`${fingerprint}/`) && name.endsWith('.zst'))
    .sort()
}

/** Status files of the archiver, by their suffix. */
function archiveStatus(server: Server, suffix: '.ready' | '.done'): string[] {
  return readdirSync(join(server.dataDirectory, 'pg_wal/archive_status'))
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
}

async function failedCount(server: Server): Promise<number> {
  const [row] = await server.query<{ failed: number }>(
    'select failed_count::int as failed from pg_stat_archiver',
  )
  return row?.failed ?? -1
}

/** Gives the archiver a file of its own to archive, as if the server had written it. */
function handOver(server: Server, name: string, content: Buffer): void {
  const file = join(server.dataDirectory, 'pg_wal', name)
  writeFileSync(file, content, { mode: 0o600 })
  ownByUnprivileged(file)
  markReady(server.dataDirectory, name)
}

describe('trouble with a path', () => {
  it('the first path dies in mid-transfer, and the second takes the file', async () => {
    onTestFinished(() => sshd.restart())
    const primary = await fleet.startPrimary('two', ['berlin', 'madrid'])
    await archiveSegment(primary)
    const before = await copiesOf(fleet, 'two')
    expect(before.every(({ path }) => path === 'berlin')).toBe(true)

    const inMidTransfer = line.holdAfter(400_000)
    const name = await endNoisySegment(primary)
    await inMidTransfer
    sshd.kill()
    await untilArchived(primary, name)

    const copies = await copiesOf(fleet, 'two')
    expect(copies.find(({ file }) => file === name)).toEqual({ file: name, path: 'madrid' })
    const tries = (await triesOf(fleet, 'two')).filter(({ file }) => file === name)
    expect(tries).toEqual([
      { file: name, path: 'berlin', stored: false, error: expect.stringMatching(/connection/) },
      { file: name, path: 'madrid', stored: true, error: null },
    ])
    expect(await failedCount(primary)).toBe(0)
    const fingerprint = await fingerprintOf(fleet, 'two')
    const below = (path: 'berlin' | 'madrid') =>
      copies.filter((one) => one.path === path).map(({ file }) => storedFile('', fingerprint, file))
    expect(storedBelow(roots.berlin, fingerprint)).toEqual(below('berlin'))
    expect(storedBelow(roots.madrid, fingerprint)).toEqual(below('madrid'))
  })

  it('no path answers: PostgreSQL keeps the file, and archives it when a path is back', async () => {
    onTestFinished(() => sshd.restart())
    const primary = await fleet.startPrimary('none', ['berlin', 'madrid'])
    await archiveSegment(primary)
    sshd.kill()
    const away = `${roots.madrid}.away`
    renameSync(roots.madrid, away)
    const bringBack = () => existsSync(away) && renameSync(away, roots.madrid)
    onTestFinished(() => void bringBack())
    const name = await endSegment(primary)
    await waitFor('a push failed', async () => (await failedCount(primary)) > 0)

    const byHand = await fleet.pgarch(['push', `pg_wal/${name}`, name], {
      cwd: primary.dataDirectory,
    })
    expect(byHand.status).toBe(1)
    expect(byHand.stderr.match(/^pgarch: WARNING: {2}path "(berlin|madrid)": /gm)).toHaveLength(2)
    expect(archiveStatus(primary, '.ready')).toContain(name)
    const tries = (await triesOf(fleet, 'none')).filter(({ file }) => file === name)
    expect(tries.filter(({ stored }) => stored)).toEqual([])
    expect(new Set(tries.map(({ path }) => path))).toEqual(new Set(['berlin', 'madrid']))

    bringBack()
    await wakeArchiver(primary)
    await untilArchived(primary, name)
    expect(await copiesOf(fleet, 'none')).toContainEqual({ file: name, path: 'madrid' })
  })

  const asRoot = process.getuid?.() === 0
  it.runIf(asRoot)('a path whose disk is not mounted is passed over', async () => {
    const { mountSmallDisk } = await import('../stores/small-disk.ts')
    const { makeFolder } = await import('../support/folder.ts')
    const root = makeFolder(fleet.folder, 'paris')
    const disk = await mountSmallDisk(root)
    let mounted = true
    try {
      await fleet.addPath('paris', { root, reserve: 0 })
      const primary = await fleet.startPrimary('unmounted', ['paris', 'madrid'])
      const first = await archiveSegment(primary)
      await disk.unmount()
      mounted = false
      const second = await archiveSegment(primary)

      expect(await copiesOf(fleet, 'unmounted')).toEqual(
        expect.arrayContaining([
          { file: first, path: 'paris' },
          { file: second, path: 'madrid' },
        ]),
      )
      expect(await triesOf(fleet, 'unmounted')).toContainEqual({
        file: second,
        path: 'paris',
        stored: false,
        error: expect.stringContaining('has no pgarch-path'),
      })
      expect(readdirSync(root)).toEqual([])
    } finally {
      if (mounted) await disk.unmount()
    }
  })

  it.runIf(asRoot)('a path with a full disk is passed over, local or behind SFTP', async () => {
    const { mountSmallDisk } = await import('../stores/small-disk.ts')
    const { makeFolder } = await import('../support/folder.ts')
    const mountPoint = makeFolder(fleet.folder, 'small')
    const disk = await mountSmallDisk(mountPoint)
    try {
      await fleet.addPath('full', { root: makeFolder(mountPoint, 'local'), reserve: 0 })
      await fleet.addPath('full-sftp', { root: makeFolder(mountPoint, 'sftp'), sshd, reserve: 0 })
      const primary = await fleet.startPrimary('crowded', ['full', 'full-sftp', 'madrid'])
      const filler = join(mountPoint, 'filler')
      await archiveSegment(primary)
      writeFileSync(filler, Buffer.alloc(3_500_000))
      const name = await endNoisySegment(primary)
      await untilArchived(primary, name)

      const noSpace = expect.stringContaining('no space left on device')
      expect((await triesOf(fleet, 'crowded')).filter(({ file }) => file === name)).toEqual([
        { file: name, path: 'full', stored: false, error: noSpace },
        { file: name, path: 'full-sftp', stored: false, error: noSpace },
        { file: name, path: 'madrid', stored: true, error: null },
      ])

      rmSync(filler)
      endRests(fleet, primary)
      const next = await archiveSegment(primary)
      expect(await copiesOf(fleet, 'crowded')).toContainEqual({ file: next, path: 'full' })
    } finally {
      await disk.unmount()
    }
  })
})

describe('the server', () => {
  it('is shut down immediately in mid-transfer, and pushes the file again after its start', async () => {
    const primary = await fleet.startPrimary('crashed', ['berlin'])
    await archiveSegment(primary)
    const inMidTransfer = line.holdAfter(400_000)
    const name = await endNoisySegment(primary)
    await inMidTransfer
    await primary.stop('immediate')

    const fingerprint = await fingerprintOf(fleet, 'crashed')
    expect(storedBelow(roots.berlin, fingerprint).join()).not.toContain(name)
    expect(archiveStatus(primary, '.ready')).toContain(name)
    expect((await copiesOf(fleet, 'crashed')).map(({ file }) => file)).not.toContain(name)

    await primary.start()
    await untilArchived(primary, name)
    expect(await copiesOf(fleet, 'crashed')).toContainEqual({ file: name, path: 'berlin' })
    expect(storedBelow(roots.berlin, fingerprint).join()).toContain(name)
  })

  it('pushes a file that is archived already, as after a crash: success, in one line', async () => {
    const primary = await fleet.startPrimary('again', ['madrid'])
    const name = await archiveSegment(primary)
    const before = await copiesOf(fleet, 'again')
    const { status, stdout, stderr } = await fleet.pgarch(['push', `pg_wal/${name}`, name], {
      cwd: primary.dataDirectory,
    })
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: '',
      stderr: `pgarch: LOG:  "${name}" was already archived on path "madrid"\n`,
    })
    expect(await copiesOf(fleet, 'again')).toEqual(before)
    const tries = (await triesOf(fleet, 'again')).filter(({ file }) => file === name)
    expect(tries.map(({ stored }) => stored)).toEqual([true, true])
  })

  it('hands over an empty backup history file, and a segment with a zeroed page: both are archived', async () => {
    const primary = await fleet.startPrimary('odd', ['madrid'])
    const last = await archiveSegment(primary)
    const empty = `${last}.00000028.backup`
    handOver(primary, empty, Buffer.alloc(0))
    const [row] = await primary.query<{ id: string }>(
      'select system_identifier::text as id from pg_control_system()',
    )
    const segment = makeSegment({
      segno: 0xa00,
      walSegmentSize: 1024 * 1024,
      systemIdentifier: row?.id ?? '',
      fill: 1,
    })
    segment.fill(0, 512 * 1024, 520 * 1024)
    const zeroed = '000000010000000000000A00'
    handOver(primary, zeroed, segment)
    await wakeArchiver(primary)
    await untilArchived(primary, zeroed)

    expect(await copiesOf(fleet, 'odd')).toEqual(
      expect.arrayContaining([
        { file: empty, path: 'madrid' },
        { file: zeroed, path: 'madrid' },
      ]),
    )
    const files = await filesOf(fleet, 'odd')
    expect(files.find(({ file }) => file === empty)?.size).toBe(0)
  })

  it('is the scheduling database too: what it archives while it stops is recorded after its start', async () => {
    const both = await startServer({ walSegmentSizeMegabytes: 1 })
    const alone = await startFleet({ schedule: both })
    const variables = Object.entries(alone.environment).map(([name, value]) => `${name}='${value}'`)
    both.configure({
      ...alone.archiveSettings,
      archive_command: `${variables.join(' ')} ${alone.archiveSettings.archive_command}`,
    })
    await both.stop()
    await both.start()
    await alone.addPath('here')
    await alone.admin(
      'register',
      '--name',
      'self',
      '--pgdata',
      both.dataDirectory,
      '--pguser',
      'postgres',
    )
    await alone.admin('route', 'set', 'self', 'here', '--priority', '1')
    const running = await archiveSegment(both)
    expect(await copiesOf(alone, 'self')).toContainEqual({ file: running, path: 'here' })

    // The segment that a fast shutdown ends is pushed when nobody can connect any more.
    await both.query('insert into filler values (1)')
    await both.stop('fast')
    expect(archiveStatus(both, '.ready')).toEqual([])
    expect(both.log()).toMatch(/the database system is shutting down; going on with the route of/)

    await both.start()
    endRests(alone, both)
    const last = await archiveSegment(both)
    const copies = await copiesOf(alone, 'self')
    const numbers = copies.map(({ file }) => Number.parseInt(file.slice(16), 16))
    expect(copies.at(-1)).toEqual({ file: last, path: 'here' })
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
    expect(copies.length).toBeGreaterThanOrEqual(3)
  })
})

describe.each(serverVersions())('PostgreSQL $major', (version) => {
  it('archives all four kinds of files: segment, backup history, timeline history, partial segment', async () => {
    const name = `kinds${version.major}`
    const primary = await fleet.startPrimary(name, ['madrid'], { version })
    const backup = await takeBackup(fleet, primary, `${name}-standby`)
    const standby = await startRestored(fleet, backup, 'standby', {
      version,
      settings: { ...fleet.archiveSettings, primary_conninfo: streamingFrom(primary) },
    })
    await fleet.admin('register', '--member', '--pgdata', backup, '--pguser', 'postgres')
    const segment = await archiveSegment(primary)
    await primary.query('insert into filler values (1)')
    const [end] = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
    await waitFor('the standby has it all', async () => {
      const [row] = await standby.query<{ done: boolean }>(
        'select coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) as done',
        [end?.lsn],
      )
      return row?.done === true
    })
    await primary.stop('immediate')
    await promote(standby)
    await untilArchived(standby, await endSegment(standby))

    const files = (await copiesOf(fleet, name)).map(({ file }) => file)
    expect(files).toContain(segment)
    expect(files).toContainEqual(expect.stringMatching(/^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/))
    expect(files).toContain('00000002.history')
    expect(files).toContainEqual(expect.stringMatching(/^00000001[0-9A-F]{16}\.partial$/))
    expect(files).toContainEqual(expect.stringMatching(/^00000002[0-9A-F]{16}$/))
    const fingerprint = await fingerprintOf(fleet, name)
    const stored = storedBelow(roots.madrid, fingerprint).map((one) => join(roots.madrid, one))
    expect(stored.sort()).toEqual(
      files.map((file) => storedFile(roots.madrid, fingerprint, file)).sort(),
    )
    await standby.stop('immediate')
  })
})
