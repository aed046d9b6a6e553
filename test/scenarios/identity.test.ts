import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { markReady } from '../support/data-directory.ts'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  storedFile,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { type Server, startFrom } from '../support/postgres.ts'
import {
  countOf,
  promote,
  startRestored,
  streamingFrom,
  takeBackup,
  timelineOf,
  untilPrimary,
} from '../support/restored.ts'
import { conflictsOf, copiesOf, filesOf, fingerprintOf, sha256, triesOf } from '../support/rows.ts'
import { makeSegment } from '../support/wal.ts'

const megabyte = 1024 * 1024

let fleet: Fleet
let berlin: string
let madrid: string
let primary: Server
let identifier: string

beforeAll(async () => {
  fleet = await startFleet()
  berlin = await fleet.addPath('berlin')
  madrid = await fleet.addPath('madrid')
  primary = await fleet.startPrimary('app', ['berlin'])
  const [row] = await primary.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  identifier = row?.id ?? ''
})

/** Puts a file into a data directory's pg_wal, pushes it by hand, and takes it out again. */
async function pushContent(
  dataDirectory: string,
  name: string,
  content: Buffer,
  environment: Record<string, string> = {},
) {
  const file = join(dataDirectory, 'pg_wal', name)
  writeFileSync(file, content)
  ownByUnprivileged(file)
  const ready = markReady(dataDirectory, name)
  try {
    return await fleet.pgarch(['push', `pg_wal/${name}`, name], { cwd: dataDirectory, environment })
  } finally {
    for (const one of [file, ready]) rmSync(one)
  }
}

describe('a copy of a registered cluster', () => {
  it('that nobody registered is refused, and archives under a fingerprint of its own after register --new', async () => {
    const backup = await takeBackup(fleet, primary, 'clone', { includeWal: true })
    await archiveSegment(primary)
    const clone = await startFrom(backup, {
      environment: fleet.environment,
      settings: fleet.archiveSettings,
    })
    const before = await filesOf(fleet, 'app')
    const name = await endSegment(clone)
    await waitFor('a push failed', () => clone.log().includes('archive command failed'))
    expect(clone.log()).toMatch(
      /ERROR: {2}data directory ".*\/clone" is not registered\n.*HINT: .*--member.*--new/,
    )
    expect(await filesOf(fleet, 'app')).toEqual(before)

    await fleet.admin(
      'register',
      '--new',
      '--name',
      'clone',
      '--pgdata',
      backup,
      '--pguser',
      'postgres',
    )
    await fleet.admin('route', 'set', 'clone', 'madrid', '--priority', '1')
    await wakeArchiver(clone)
    await untilArchived(clone, name)
    const fingerprint = await fingerprintOf(fleet, 'clone')
    expect(fingerprint).not.toBe(await fingerprintOf(fleet, 'app'))
    expect(existsSync(storedFile(madrid, fingerprint, name))).toBe(true)
    expect(await copiesOf(fleet, 'clone')).toContainEqual({ file: name, path: 'madrid' })
    expect(await filesOf(fleet, 'app')).toEqual(before)
    expect(await conflictsOf(fleet, 'app')).toEqual([])
    await clone.stop('immediate')
  })

  it('that another host promotes as a member archives on, on a timeline that nobody announced', async () => {
    const old = await fleet.startPrimary('failover', ['berlin'])
    await old.query('create table numbers (n int); insert into numbers values (1)')
    const backup = await takeBackup(fleet, old, 'failover-standby')
    const otherHost = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'other-host') }
    const standby = await startRestored(fleet, backup, 'standby', {
      environment: otherHost,
      settings: { ...fleet.archiveSettings, primary_conninfo: streamingFrom(old) },
    })
    const registered = await fleet.pgarch(
      ['register', '--member', '--pgdata', backup, '--pguser', 'postgres'],
      { admin: true, environment: otherHost },
    )
    expect(registered).toMatchObject({ status: 0, stderr: '' })
    await waitFor('it streams', async () => (await countOf(standby, 'numbers')) === 1)
    await old.stop('immediate')
    await promote(standby)
    await standby.query('insert into numbers values (2)')
    const name = await archiveSegment(standby)

    expect(name).toMatch(/^00000002/)
    const copies = await copiesOf(fleet, 'failover')
    expect(copies).toContainEqual({ file: name, path: 'berlin' })
    expect(copies).toContainEqual({ file: '00000002.history', path: 'berlin' })
    expect(await conflictsOf(fleet, 'failover')).toEqual([])
    expect(await timelineOf(standby)).toBe(2)
    await standby.stop('immediate')
  })
})

describe('push refuses', () => {
  it("another cluster's WAL", async () => {
    const name = '000000010000000000000A01'
    const foreign = makeSegment({
      segno: 0xa01,
      walSegmentSize: megabyte,
      systemIdentifier: String(BigInt(identifier) + 1n),
      fill: 1,
    })
    const { status, stderr } = await pushContent(primary.dataDirectory, name, foreign)
    expect(status).toBe(1)
    expect(stderr).toContain(`system identifier`)
    expect((await filesOf(fleet, 'app')).map(({ file }) => file)).not.toContain(name)
    expect((await triesOf(fleet, 'app')).map(({ file }) => file)).not.toContain(name)
  })

  it('a recycled segment: the name is ahead of what is in it', async () => {
    const name = await archiveSegment(primary)
    const recycled = '000000010000000000000A02'
    const content = readFileSync(join(primary.dataDirectory, 'pg_wal', name))
    const { status, stderr } = await pushContent(primary.dataDirectory, recycled, content)
    expect(status).toBe(1)
    expect(stderr).toMatch(/page address/)
    expect((await filesOf(fleet, 'app')).map(({ file }) => file)).not.toContain(recycled)
  })

  it('a file from outside of pg_wal, and a name that is none of a WAL file', async () => {
    const history = join(primary.dataDirectory, '00000002.history')
    copyFileSync('/dev/null', history)
    const outside = await fleet.pgarch(['push', '00000002.history', '00000002.history'], {
      cwd: primary.dataDirectory,
    })
    rmSync(history)
    expect(outside.status).toBe(1)
    expect(outside.stderr).toContain('is not in')
    const other = await pushContent(primary.dataDirectory, 'xlogtemp.1', Buffer.alloc(megabyte))
    expect(other.status).toBe(1)
    expect(other.stderr).toContain('"xlogtemp.1" is not the name of a WAL file')
    expect((await filesOf(fleet, 'app')).map(({ file }) => file)).not.toContain('00000002.history')
  })
})

describe('two servers', () => {
  it('push other content under one name to two paths: one is refused before a byte is sent', async () => {
    const otherHost = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'twin-host') }
    const registered = await fleet.pgarch(
      ['register', '--member', '--name', 'app', '--offline', '--pgdata', primary.dataDirectory],
      { admin: true, environment: otherHost },
    )
    expect(registered).toMatchObject({ status: 0, stderr: '' })
    const name = '000000010000000000000A03'
    const content = (fill: number) =>
      makeSegment({
        segno: 0xa03,
        walSegmentSize: megabyte,
        systemIdentifier: identifier,
        fill,
      })
    expect(await pushContent(primary.dataDirectory, name, content(1))).toMatchObject({ status: 0 })

    // The second host knows of another way, and finds no file there.
    await fleet.admin('route', 'set', 'app', 'madrid', '--priority', '200')
    const refused = await pushContent(primary.dataDirectory, name, content(2), otherHost)
    await fleet.admin('route', 'remove', 'app', 'madrid')
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/was archived with other content by .*\n.*HINT: .*split brain/)
    expect(await conflictsOf(fleet, 'app')).toEqual([
      { file: name, sha256: sha256(content(2)), path: null },
    ])
    expect((await triesOf(fleet, 'app')).filter(({ file }) => file === name)).toEqual([
      { file: name, path: 'berlin', stored: true, error: null },
    ])
    expect(existsSync(join(madrid, await fingerprintOf(fleet, 'app')))).toBe(false)
    expect((await filesOf(fleet, 'app')).find(({ file }) => file === name)?.sha256).toBe(
      sha256(content(1)),
    )
  })

  it('are promoted to the same timeline: the second history file is refused, and status tells', async () => {
    const old = await fleet.startPrimary('split', ['berlin'])
    await old.query('create table numbers (n int)')
    const backup = await takeBackup(fleet, old, 'split-first')
    await old.query("select pg_create_restore_point('early')")
    await archiveSegment(old)
    await old.stop('fast')
    const copy = join(fleet.folder, 'split-second')
    execFileSync('cp', ['-a', backup, copy])

    // Neither finds the other's history file, as nothing is archived while both are promoted.
    await fleet.admin('cluster', 'pause', 'split', '--reason', 'failover test')
    const settings = { ...fleet.archiveSettings, recovery_target_action: 'promote' }
    const first = await startRestored(fleet, backup, 'recovery', {
      settings: { ...settings, recovery_target_name: 'early' },
    })
    const second = await startRestored(fleet, copy, 'recovery', { settings })
    for (const [server, data] of [
      [first, backup],
      [second, copy],
    ] as const) {
      await untilPrimary(server)
      await fleet.admin('register', '--member', '--pgdata', data, '--pguser', 'postgres')
      expect(await timelineOf(server)).toBe(2)
    }
    second.configure({ archive_command: '' })
    await second.query('select pg_reload_conf()')

    await fleet.admin('cluster', 'start', 'split')
    await wakeArchiver(first)
    await untilArchived(first, '00000002.history')
    const fingerprint = await fingerprintOf(fleet, 'split')
    const stored = storedFile(berlin, fingerprint, '00000002.history')
    const archived = readFileSync(stored)

    second.configure(fleet.archiveSettings)
    await wakeArchiver(second)
    await waitFor('its push failed', () =>
      /"00000002.history" of cluster "split" was archived with other content/.test(second.log()),
    )
    expect(readFileSync(stored)).toEqual(archived)
    const historyOf = (data: string) => readFileSync(join(data, 'pg_wal/00000002.history'))
    expect(
      (await filesOf(fleet, 'split')).find(({ file }) => file === '00000002.history'),
    ).toMatchObject({
      sha256: sha256(historyOf(backup)),
    })
    expect(await conflictsOf(fleet, 'split')).toContainEqual({
      file: '00000002.history',
      sha256: sha256(historyOf(copy)),
      path: null,
    })
    const status = await fleet.pgarch(['status', 'split'], { admin: true })
    expect(status.status).toBe(1)
    expect(status.stdout).toMatch(/^1 conflict$/m)
    const ready = join(copy, 'pg_wal/archive_status/00000002.history.ready')
    expect(existsSync(ready)).toBe(true)
  })
})
