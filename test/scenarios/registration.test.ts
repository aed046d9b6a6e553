import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  type RunOptions,
  startFleet,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { changeSystemIdentifier } from '../support/pg-control.ts'
import { type Server, startServer } from '../support/postgres.ts'
import { takeBackup } from '../support/restored.ts'
import { copiesOf, fingerprintOf } from '../support/rows.ts'
import { unprivileged } from '../support/unprivileged.ts'

let fleet: Fleet
let server: Server
let launcher: string

beforeAll(async () => {
  launcher = installation().pgarch
  fleet = await startFleet()
  await fleet.addPath('berlin')
  server = await startServer({ walSegmentSizeMegabytes: 1 })
  await fleet.admin(
    'register',
    '--name',
    'app',
    '--pgdata',
    server.dataDirectory,
    '--pguser',
    'postgres',
  )
  await fleet.admin('route', 'set', 'app', 'berlin', '--priority', '1')
})

function register(words: string[], options: RunOptions = {}) {
  return fleet.pgarch(['register', '--pguser', 'postgres', ...words], { admin: true, ...options })
}

function stateDirectoryOf(dataDirectory: string, base = fleet.environment.PGARCH_STATE_DIR) {
  return join(base ?? '', dataDirectory, '@pgarch')
}

/** A segment that the server, which does not archive, has released for it all the same. */
async function releaseSegment(): Promise<string> {
  const name = await endSegment(server)
  const status = join(server.dataDirectory, 'pg_wal/archive_status', `${name}.ready`)
  writeFileSync(status, '')
  ownByUnprivileged(status)
  return name
}

async function fingerprintIn(of: Server): Promise<string | undefined> {
  const [table] = await of.query<{ exists: boolean }>(
    "select to_regclass('pgarch.fingerprint') is not null as exists",
  )
  if (table?.exists !== true) return undefined
  const [row] = await of.query<{ uuid: string }>('select uuid from pgarch.fingerprint where id = 1')
  return row?.uuid
}

async function membersOf(fingerprint: string): Promise<number> {
  const [row] = await fleet.rows<{ count: number }>(
    'select count(*)::int as count from pgarch.arch_member where db_id = $1',
    [fingerprint],
  )
  return row?.count ?? -1
}

describe('a new cluster', () => {
  it('gets a fingerprint, here and there; again is the same', async () => {
    const fingerprint = await fingerprintOf(fleet, 'app')
    expect(await fingerprintIn(server)).toBe(fingerprint)
    const [control] = await server.query<{ id: string }>(
      'select system_identifier::text as id from pg_control_system()',
    )
    expect(
      await fleet.rows(
        `select system_identifier::text as id, wal_segment_size as size, version
         from pgarch.arch_db_info where id = $1`,
        [fingerprint],
      ),
    ).toEqual([{ id: control?.id, size: 1024 * 1024, version: String(server.version.major) }])

    const file = join(stateDirectoryOf(server.dataDirectory), 'member.json')
    const before = readFileSync(file, 'utf8')
    for (const words of [[], ['--name', 'app'], ['--member'], ['--new', '--name', 'app']]) {
      const again = await register([...words, '--pgdata', server.dataDirectory])
      expect(again).toMatchObject({ status: 0, stderr: '' })
      expect(again.stdout).toContain('This host is a member of cluster "app" already.')
    }
    expect(readFileSync(file, 'utf8')).toBe(before)
    expect(await membersOf(fingerprint)).toBe(1)
    const other = await register(['--name', 'other', '--pgdata', server.dataDirectory])
    expect(other.status).toBe(1)
    expect(other.stderr).toContain('is registered as cluster "app", not "other"')
  })

  it('is told its settings with absolute paths; its state directory is its own', async () => {
    const { stdout } = await register(['--pgdata', '.'], { cwd: server.dataDirectory })
    expect(stdout).toContain("  wal_level = 'replica'\n")
    expect(stdout).toContain("  archive_timeout = '60s'\n")
    expect(stdout).toContain(`  archive_command = '${launcher} push %p %f'\n`)
    expect(stdout).toContain(`  restore_command = '${launcher} fetch %f %p'\n`)
    const stateDirectory = stateDirectoryOf(server.dataDirectory)
    expect(stdout).toContain(`  state directory  ${stateDirectory}\n`)
    expect(statSync(stateDirectory).mode & 0o777).toBe(0o700)
    expect(statSync(stateDirectory).uid).toBe(unprivileged.uid)
    expect(statSync(join(stateDirectory, 'member.json')).mode & 0o777).toBe(0o600)
  })

  it('registered offline carries its fingerprint from the next time on', async () => {
    const later = await startServer({ walSegmentSizeMegabytes: 1 })
    const place = ['--pgdata', later.dataDirectory]
    const offline = await register(['--name', 'later', '--offline', ...place])
    expect(offline).toMatchObject({ status: 0, stderr: '' })
    expect(offline.stdout).toContain('does not carry the fingerprint yet')
    expect(await fingerprintIn(later)).toBeUndefined()
    expect(await register(place)).toMatchObject({ status: 0, stderr: '' })
    expect(await fingerprintIn(later)).toBe(await fingerprintOf(fleet, 'later'))
    await later.stop('immediate')
    const stopped = await register(place)
    expect(stopped.status).toBe(1)
    expect(stopped.stderr).toMatch(/no server runs on .*\n.*HINT: .*--offline|could not connect/)
  })
})

describe('a copy', () => {
  it('that has the socket of a server that crashed is not registered as that server', async () => {
    const crashed = await takeBackup(fleet, server, 'crashed')
    copyFileSync(join(server.dataDirectory, 'postmaster.pid'), join(crashed, 'postmaster.pid'))
    const { status, stderr } = await register(['--member', '--pgdata', crashed])
    expect(status).toBe(1)
    expect(stderr).toContain(`no server runs on "${crashed}": the one on its socket runs on`)
    expect(existsSync(join(stateDirectoryOf(crashed), 'member.json'))).toBe(false)
  })

  it('is refused until somebody says what it is: --member, or --new', async () => {
    const copy = await takeBackup(fleet, server, 'copy')
    const place = ['--offline', '--pgdata', copy]
    const fingerprint = await fingerprintOf(fleet, 'app')
    const members = await membersOf(fingerprint)
    const refused = await register(['--name', 'copy', ...place])
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(
      /this is a copy, or another host, of cluster "app".*\n.*HINT: .*--member.*--new/,
    )
    expect(await membersOf(fingerprint)).toBe(members)
    expect(readdirSync(stateDirectoryOf(copy))).toEqual([])

    expect(await register(['--member', ...place])).toMatchObject({ status: 0, stderr: '' })
    expect(await membersOf(fingerprint)).toBe(members + 1)

    const otherHost = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'copy-host') }
    // A backup without WAL does not tell its segment size: a cluster of its own needs its server.
    for (const name of readdirSync(join(server.dataDirectory, 'pg_wal'))) {
      if (!/^[0-9A-F]{24}$/.test(name)) continue
      writeFileSync(
        join(copy, 'pg_wal', name),
        readFileSync(join(server.dataDirectory, 'pg_wal', name)),
      )
      ownByUnprivileged(join(copy, 'pg_wal', name))
    }
    const own = await register(['--new', '--name', 'copy', ...place], { environment: otherHost })
    expect(own).toMatchObject({ status: 0, stderr: '' })
    // Its identifier alone does not say whose WAL it wants.
    expect(own.stdout).toContain(`fetch %f %p --cluster ${await fingerprintOf(fleet, 'copy')}'`)
    expect(await fingerprintOf(fleet, 'copy')).not.toBe(fingerprint)
    expect(await membersOf(await fingerprintOf(fleet, 'copy'))).toBe(1)
    expect(await membersOf(fingerprint)).toBe(members + 1)
  })
})

it('a changed system identifier, as after pg_upgrade, makes a new fingerprint; the old files can still be fetched', async () => {
  const upgraded = await fleet.startPrimary('old', ['berlin'])
  const before = await archiveSegment(upgraded)
  const oldFingerprint = await fingerprintOf(fleet, 'old')
  await upgraded.stop('fast')
  changeSystemIdentifier(upgraded)
  await upgraded.start()
  const after = await endSegment(upgraded)
  await waitFor('push is refused', () => /but was registered with/.test(upgraded.log()))

  const registered = await register(['--pgdata', upgraded.dataDirectory])
  expect(registered).toMatchObject({ status: 0, stderr: '' })
  expect(registered.stdout).toContain('the old one is retired, and still fetchable')
  const newFingerprint = await fingerprintOf(fleet, 'old')
  expect(
    await fleet.rows(
      "select id, previous_id, active_status as active from pgarch.arch_db_info where name = 'old' order by create_time",
    ),
  ).toEqual([
    { id: oldFingerprint, previous_id: null, active: false },
    { id: newFingerprint, previous_id: oldFingerprint, active: true },
  ])
  expect(await fingerprintIn(upgraded)).toBe(newFingerprint)
  await wakeArchiver(upgraded)
  await untilArchived(upgraded, after)
  expect(await copiesOf(fleet, 'old')).toContainEqual({ file: after, path: 'berlin' })

  const target = join(makeFolder(fleet.folder, 'fetched'), before)
  const fetched = await fleet.pgarch(['fetch', before, target, '--cluster', oldFingerprint])
  expect(fetched).toMatchObject({ status: 0, stderr: '' })
  expect(statSync(target).size).toBe(1024 * 1024)
  await upgraded.stop('immediate')
})

describe('a server into which a dump of another was restored', () => {
  it('does not take the place of the cluster that the dump came from', async () => {
    await fleet.admin('cluster', 'start', 'app')
    const archived = await releaseSegment()
    const pushed = await fleet.pgarch(['push', `pg_wal/${archived}`, archived], {
      cwd: server.dataDirectory,
    })
    expect(pushed).toMatchObject({ status: 0, stderr: '' })
    const other = await startServer({ walSegmentSizeMegabytes: 1 })
    const fingerprint = await fingerprintOf(fleet, 'app')
    await other.query('create schema pgarch')
    await other.query(
      'create table pgarch.fingerprint (id int primary key default 1, uuid uuid, wal_segment_size int, ' +
        'create_time timestamptz not null default now())',
    )
    await other.query(`insert into pgarch.fingerprint values (1, '${fingerprint}', 1048576)`)

    const place = ['--pgdata', other.dataDirectory]
    const named = await register(['--name', 'other', ...place])
    expect(named.status).toBe(1)
    expect(named.stderr).toMatch(
      /carries the fingerprint of cluster "app"\n.*HINT: .*without --name.*--new --name other/,
    )
    const unnamed = await register(place)
    expect(unnamed.status).toBe(1)
    expect(unnamed.stderr).toContain(
      `cluster "app" archived from "${server.dataDirectory}" on host`,
    )
    const state = "select active_status as active from pgarch.arch_db_info where name = 'app'"
    expect(await fleet.rows(state)).toEqual([{ active: true }])

    const own = await register(['--new', '--name', 'other', ...place])
    expect(own).toMatchObject({ status: 0, stderr: '' })
    expect(await fingerprintIn(other)).toBe(await fingerprintOf(fleet, 'other'))
    expect(await fingerprintOf(fleet, 'other')).not.toBe(fingerprint)
    await other.stop('immediate')
  })
})

it('a damaged member.json gives way to a new one', async () => {
  const place = ['--pgdata', server.dataDirectory]
  const file = join(stateDirectoryOf(server.dataDirectory), 'member.json')
  writeFileSync(file, '{')
  const asked = await register(place)
  expect(asked.status).toBe(1)
  expect(asked.stderr).toMatch(/WARNING: .*is damaged(.|\n)*HINT: .*--member/)
  const enrolled = await register(['--member', '--name', 'app', ...place])
  expect(enrolled.status).toBe(0)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ clusterName: 'app' })
})

describe('--apply', () => {
  it('makes a server that logs too little for an archive able to start, and to archive', async () => {
    const minimal = await startServer({
      walSegmentSizeMegabytes: 1,
      settings: { wal_level: 'minimal', max_wal_senders: '0' },
    })
    const words = ['--name', 'minimal', '--apply', '--pgdata', minimal.dataDirectory]
    const { status, stderr } = await register(words)
    expect(status).toBe(0)
    for (const name of ['wal_level', 'archive_mode']) {
      expect(stderr).toContain(`${name} takes effect at the next restart`)
    }
    await minimal.stop('fast')
    await minimal.start()
    const [row] = await minimal.query(
      `select string_agg(setting, ' ' order by name) as settings from pg_settings
       where name in ('archive_mode', 'archive_timeout', 'wal_level')`,
    )
    expect(row).toEqual({ settings: 'on 60 replica' })
    await minimal.stop('immediate')
  })

  it('sets the settings and reloads the server', async () => {
    const { status, stdout, stderr } = await register(['--apply', '--pgdata', server.dataDirectory])
    expect(status).toBe(0)
    expect(stdout).toContain('Settings were applied')
    expect(stderr).toContain('archive_mode takes effect at the next restart')
    const fingerprint = await fingerprintIn(server)
    const told = 'select archive_timeout_seconds as s from pgarch.arch_db_server where db_id = $1'
    expect(await fleet.rows(told, [fingerprint])).toEqual([{ s: 60 }])
    // Its copy has the same system identifier.
    const restore = `${launcher} fetch %f %p --cluster ${fingerprint}`
    await waitFor('it is reloaded', async () => {
      const [row] = await server.query<{ restore_command: string }>('show restore_command')
      return row?.restore_command === restore
    })
    const file = readFileSync(join(server.dataDirectory, 'postgresql.auto.conf'), 'utf8')
    expect(file).toContain(`archive_command = '${launcher} push %p %f'`)
    expect(file).toContain("archive_mode = 'on'")
    const again = await register(['--apply', '--pgdata', server.dataDirectory])
    expect(again).toMatchObject({ status: 0 })
  })

  it('is refused where Patroni keeps the settings', async () => {
    const autoConf = join(server.dataDirectory, 'postgresql.auto.conf')
    const before = readFileSync(autoConf, 'utf8')
    const sign = join(server.dataDirectory, 'patroni.dynamic.json')
    writeFileSync(sign, '{}')
    const refused = await register(['--apply', '--pgdata', server.dataDirectory])
    rmSync(sign)
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/Patroni manages .*\n.*HINT: .*patronictl edit-config/)
    expect(readFileSync(autoConf, 'utf8')).toBe(before)
  })
})

it.runIf(process.getuid?.() === 0)(
  'run as root, it leaves its files to the owner of the data directory',
  async () => {
    const base = join(fleet.folder, 'state-of-root')
    const environment = { PGARCH_STATE_DIR: base }
    const registered = await register(
      ['--member', '--name', 'app', '--pgdata', server.dataDirectory],
      {
        environment,
        asTester: true,
      },
    )
    expect(registered).toMatchObject({ status: 0, stderr: '' })
    const stateDirectory = stateDirectoryOf(server.dataDirectory, base)
    expect(statSync(base).uid).toBe(0)
    for (const name of ['.', ...readdirSync(stateDirectory)]) {
      expect(statSync(join(stateDirectory, name)).uid).toBe(unprivileged.uid)
    }
    const name = await releaseSegment()
    const pushed = await fleet.pgarch(['push', `pg_wal/${name}`, name], {
      cwd: server.dataDirectory,
      environment,
    })
    expect(pushed).toMatchObject({ status: 0, stderr: '' })
    expect(await copiesOf(fleet, 'app')).toContainEqual({ file: name, path: 'berlin' })
  },
)

it('PGARCH_MEMBER takes the place of the state directory, as a path or as the content itself', async () => {
  const membership = join(stateDirectoryOf(server.dataDirectory), 'member.json')
  const empty = makeFolder(fleet.folder, 'no-state')
  for (const value of [membership, readFileSync(membership, 'utf8')]) {
    const name = await releaseSegment()
    const push = (environment: Record<string, string>) =>
      fleet.pgarch(['push', `pg_wal/${name}`, name], {
        cwd: server.dataDirectory,
        environment: { PGARCH_STATE_DIR: empty, ...environment },
      })
    expect((await push({})).stderr).toContain('is not registered')
    expect(await push({ PGARCH_MEMBER: value })).toMatchObject({ status: 0, stderr: '' })
    expect(await copiesOf(fleet, 'app')).toContainEqual({ file: name, path: 'berlin' })
  }
})
