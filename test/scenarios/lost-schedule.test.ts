import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openStore } from '../../src/stores/open.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { options, withoutPrivilege } from '../stores/bed.ts'
import { randomSample } from '../stores/samples.ts'
import { archiveSegment, type Fleet, startFleet, storedFile } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import type { Server } from '../support/postgres.ts'
import { countOf, promote, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'

let fleet: Fleet
let sshd: Sshd
let primary: Server
let backup: string
let fingerprint: string
let archived: Record<string, unknown>[]
let dumpFile: string

const files = () =>
  fleet.rows(
    `select f.db_id, f.wal_name, encode(f.sha256, 'hex') as sha256, f.wal_size_bytes,
            encode(f.history, 'hex') as history, c.path_id, c.stored_bytes
     from pgarch.arch_file f join pgarch.arch_copy c using (db_id, wal_name)
     order by f.db_id, f.wal_name, c.path_id`,
  )

/** A cluster with two timelines on two paths, and then no scheduling database. */
beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
  await fleet.addPath('hamburg')
  primary = await fleet.startPrimary('app', ['berlin', 'hamburg'])
  await primary.query('create table numbers (n int)')
  backup = await takeBackup(fleet, primary, 'backup')
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)
  await fleet.admin('path', 'disable', 'berlin')
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)
  await fleet.admin('path', 'enable', 'berlin')

  const standby = await startRestored(
    fleet,
    await takeBackup(fleet, primary, 'second'),
    'standby',
    {
      settings: fleet.archiveSettings,
    },
  )
  await primary.stop()
  await fleet.admin('register', '--member', '--pgdata', standby.dataDirectory, '--offline')
  await promote(standby)
  primary = standby
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)

  const [cluster] = await fleet.rows<{ id: string }>('select id from pgarch.arch_db_info')
  fingerprint = cluster?.id ?? ''
  archived = await files()
  dumpFile = join(fleet.folder, 'fleet.json')
  writeFileSync(dumpFile, await fleet.admin('schedule', 'dump'))
})

async function loseSchedule(): Promise<void> {
  await fleet.schedule.query('drop database pgarch with (force)')
  await fleet.schedule.query('create database pgarch')
  await fleet.admin('init')
}

async function adoptAll(): Promise<void> {
  const { user, host, port, hostKey } = sshd
  const ssh = ['--ssh', `${user}@${host}:${port}`, '--host-key', hostKey]
  const add = (name: string, ...more: string[]) =>
    fleet.admin('path', 'add', name, '--adopt', '--root', join(fleet.folder, name), ...more)
  await add('hamburg')
  await add('berlin', ...ssh)
}

const rebuild = (...words: string[]) =>
  fleet.pgarch(['schedule', 'rebuild', ...words], { admin: true })

let restores = 0
async function restoredCount(): Promise<number> {
  const copy = join(fleet.folder, `restored-${++restores}`)
  execFileSync('cp', ['-a', backup, copy])
  const restored = await startRestored(fleet, copy, 'recovery', {
    settings: { recovery_target_timeline: 'latest' },
  })
  await untilPrimary(restored)
  const count = await countOf(restored, 'numbers')
  await restored.stop('immediate')
  return count
}

describe('the scheduling database is lost', () => {
  it('and loaded from a dump: a restore works at once, hosts archive on, and a rebuild finds the files', async () => {
    await loseSchedule()
    await fleet.admin('schedule', 'load', dumpFile)
    expect(await files()).toEqual([])
    expect(await restoredCount()).toBe(300)

    const dry = await rebuild('--dry-run')
    expect(dry).toMatchObject({ status: 0, stdout: expect.stringContaining('Nothing was changed') })
    expect(await files()).toEqual([])

    const some = await rebuild('--path', 'hamburg')
    expect(some).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/hamburg +[1-9]\d* +0 /),
    })
    expect(some.stderr).toMatch(/LOG: {2}path "hamburg" holds \d+ files/)
    const all = await rebuild()
    expect(all.status).toBe(0)
    expect(all.stdout).toMatch(/berlin +[1-9]\d* +0 /)
    expect(all.stdout).toMatch(/hamburg +0 +[1-9]\d* /)
    expect(await files()).toEqual(archived)
    expect(await fleet.admin('schedule', 'dump')).toBe(readFileSync(dumpFile, 'utf8'))

    await primary.query('insert into numbers values (1)')
    const name = await archiveSegment(primary)
    expect(await files()).toContainEqual(expect.objectContaining({ wal_name: name }))
  })

  it('and made of the bare paths: the cluster, its files and its history are there again', async () => {
    await loseSchedule()
    await adoptAll()
    const made = await rebuild()
    expect(made).toMatchObject({ status: 0, stdout: expect.stringContaining(fingerprint) })
    expect(await files()).toEqual(expect.arrayContaining(archived))
    expect(await restoredCount()).toBe(301)

    const [route] = await fleet.rows(
      'select count(*)::int, bool_or(active_status) from pgarch.arch_path_map',
    )
    expect(route).toEqual({ count: 2, bool_or: false })
    await fleet.admin(
      'register',
      '--member',
      '--pgdata',
      primary.dataDirectory,
      '--pguser',
      'postgres',
    )
    await fleet.admin('route', 'set', 'app', 'hamburg', '--priority', '50')
    await fleet.admin('route', 'enable', 'app', 'hamburg')
    const name = await archiveSegment(primary)
    expect(await files()).toContainEqual(expect.objectContaining({ wal_name: name }))
  })

  it('a path that is not there is told, and keeps no other from being read', async () => {
    await loseSchedule()
    await adoptAll()
    await sshd.stop()
    const partly = await rebuild()
    await sshd.restart()
    expect(partly).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/WARNING: {2}path "berlin"/),
    })
    expect(partly.stdout).toMatch(/hamburg +[1-9]/)
    expect((await rebuild()).status).toBe(0)
    expect(await files()).toEqual(expect.arrayContaining(archived))
  })
})

describe('what lies on the paths is not as it should be', () => {
  const hamburg = () => join(fleet.folder, 'hamburg')
  const rows = <Row>(sql: string) => fleet.rows<Row>(sql)

  it('two paths hold other content under one name: noted as a conflict, and neither is lost', async () => {
    await loseSchedule()
    await adoptAll()
    const { wal_name: walName, sha256 } = archived.find(({ path_id }) => path_id === 1) as {
      wal_name: string
      sha256: string
    }
    const [path] = await rows<{ id: number; uuid: string }>(
      "select id, uuid from pgarch.arch_path_info where name = 'hamburg'",
    )
    const [cluster] = await primary.query<{ id: string }>(
      'select system_identifier::text as id from pg_control_system()',
    )
    const other = randomSample(5000, walName)
    await withoutPrivilege(async () => {
      const store = await openStore(
        {
          ...{ id: path?.id ?? 0, uuid: path?.uuid ?? '', name: 'hamburg', kind: 'local' },
          ...{ sshHost: null, sshPort: null, sshUser: null, hostKey: null },
          ...{ rootPath: hamburg(), reserveBytes: 0 },
        },
        options,
      )
      const digest = { ...other.digest, systemIdentifier: cluster?.id ?? '' }
      await store.put(storedName(fingerprint, walName), other.content, digest)
    })

    expect(await rebuild('--path', 'berlin')).toMatchObject({ status: 0 })
    for (let times = 1; times <= 2; times++) {
      const found = await rebuild()
      expect(found.status).toBe(1)
      expect(found.stderr).toContain(
        `path "hamburg" holds other content as "${walName}" of cluster ${fingerprint}: ` +
          `sha256 ${other.digest.sha256}, not ${sha256}`,
      )
      expect(found.stdout).toMatch(/hamburg +\d+ +\d+ +1 +0/)
      const conflicts = await rows(
        `select wal_name, encode(sha256, 'hex') as sha256, path_id, times::int
         from pgarch.arch_conflict`,
      )
      expect(conflicts).toEqual([{ wal_name: walName, sha256, path_id: path?.id, times }])
    }
    expect(await files()).toContainEqual(
      expect.objectContaining({ wal_name: walName, sha256, path_id: 1 }),
    )
    expect(await files()).not.toContainEqual(
      expect.objectContaining({ wal_name: walName, path_id: path?.id }),
    )
    expect((await fleet.pgarch(['status'], { admin: true })).stdout).toContain('1 conflict')
    const shown = await fleet.admin('conflict', 'show', 'app', walName)
    expect((await fleet.admin('conflict', 'list')) + shown).not.toContain('0000-0000')
  })

  it('damaged files, strange files and directories of nobody are told, and not recorded', async () => {
    await loseSchedule()
    await adoptAll()
    const damaged = archived.find(({ path_id }) => path_id === 2) as { wal_name: string }
    truncateSync(storedFile(hamburg(), fingerprint, damaged.wal_name), 700)
    const stranger = '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
    makeFolder(hamburg(), stranger)
    writeFileSync(join(hamburg(), stranger, '00000002.history.zst'), 'x')
    makeFolder(hamburg(), '1c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11')
    writeFileSync(join(hamburg(), fingerprint, 'notes.txt'), 'x')
    const odd = '2c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
    makeFolder(hamburg(), odd)
    writeFileSync(join(hamburg(), odd, '00000002.history.zst'), 'x')
    const manifest = readFileSync(join(hamburg(), fingerprint, 'manifest.json'), 'utf8')
    const oddManifest = manifest.replace(fingerprint, odd).replace('"app"', '"my app"')
    writeFileSync(join(hamburg(), odd, 'manifest.json'), oddManifest)

    const found = await rebuild('--path', 'hamburg')
    expect(found.status).toBe(1)
    expect(found.stderr).toContain(`no path has a usable manifest.json of cluster ${stranger}`)
    expect(found.stderr).toContain(`no path has a usable manifest.json of cluster ${odd}`)
    expect(found.stderr).toMatch(new RegExp(`"hamburg".*"${damaged.wal_name}" is damaged`))
    expect(found.stderr).not.toContain('1c5d1ae6')
    expect(found.stdout).toMatch(/hamburg +[1-9]\d* +0 +0 +3/)
    expect(await rows('select id from pgarch.arch_db_info')).toEqual([{ id: fingerprint }])
    expect((await files()).map(({ wal_name }) => wal_name)).not.toContain(damaged.wal_name)
    expect(existsSync(join(hamburg(), stranger, '00000002.history.zst'))).toBe(true)
  })

  it("another cluster's file is not taken, and a name that is taken gets a part of the fingerprint", async () => {
    await loseSchedule()
    await adoptAll()
    await fleet.rows(
      `insert into pgarch.arch_db_info (id, name, system_identifier, wal_segment_size)
       values (gen_random_uuid(), 'app', 5, 1048576)`,
    )
    expect(await rebuild('--path', 'berlin')).toMatchObject({
      stdout: expect.stringContaining(`"app-${fingerprint.slice(0, 8)}"`),
    })
    await fleet.rows('truncate pgarch.arch_file, pgarch.arch_copy')
    await fleet.rows('update pgarch.arch_db_info set system_identifier = 6 where id = $1', [
      fingerprint,
    ])
    const found = await rebuild('--path', 'berlin')
    expect(found).toMatchObject({ status: 1, stderr: expect.stringMatching(/, not 6$/m) })
    expect(await files()).toEqual([])
  })
})
