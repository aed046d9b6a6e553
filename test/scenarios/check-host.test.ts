import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { archiveSegment, endSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { startHost } from '../support/local-archive-host.ts'
import { startSource, startWaiting, untilWaiting } from '../support/waiting.ts'

let fleet: Fleet
let host: Awaited<ReturnType<typeof startHost>>

beforeAll(async () => {
  fleet = await startFleet()
  host = await startHost(fleet, 'app')
})

interface Told {
  readonly status: number | null
  readonly first: string
  readonly lines: readonly string[]
}

async function check(...words: string[]): Promise<Told> {
  const given = words.includes('--pgdata') ? [] : ['-D', host.primary.dataDirectory]
  // A slow machine is not what these tests are about.
  if (!words.includes('-t')) given.push('-t', '120')
  const { status, stdout } = await host.pgarch('check', '--pguser', 'postgres', ...given, ...words)
  const [first = '', ...lines] = stdout.trimEnd().split('\n')
  return { status, first, lines }
}

/** Of a push by hand, as PostgreSQL's would be, without a local archive. */
async function pushWithoutLocal(walName: string) {
  const { status } = await fleet.pgarch(['push', `pg_wal/${walName}`, walName], {
    cwd: host.primary.dataDirectory,
  })
  return status
}

describe('check on a production host', () => {
  test('all is well: one line with performance data, and the rest with -v', async () => {
    const { status, first, lines } = await check()
    expect({ status, lines }).toEqual({ status: 0, lines: [] })
    expect(first).toMatch(
      /^PGARCH OK: cluster "app": nothing waits to be archived \| ready_age=0s;300;900;0 ready_files=0;;;0 local_files=0;;;0 journal_age=0s;300;;0 journal_records=0;;;0 pg_wal_used=[\d.]+%;90;95;0;100 pg_wal_free=\d+B;;;0;\d+$/,
    )
    const verbose = await check('-v')
    expect(verbose.lines).toEqual(
      expect.arrayContaining([
        'OK: cluster "app": no worker runs: push.worker is off',
        expect.stringMatching(/^OK: cluster "app": the server's fingerprint is .*, as registered$/),
      ]),
    )
  })

  test('the scheduling database is not needed', async () => {
    const nowhere = { PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/pgarch' }
    const words = ['check', '--pguser', 'postgres', '-D', host.primary.dataDirectory]
    expect((await fleet.pgarch(words, { environment: nowhere })).status).toBe(0)
  })

  test('the local archive is used: a warning that no range takes away, then all is well', async () => {
    await host.unplug()
    await archiveSegment(host.primary)
    const used = await check('-w', 'local_files=1000')
    expect(used.status).toBe(1)
    expect(used.first).toMatch(
      /^PGARCH WARNING: cluster "app": 1 file is in the local archive alone, since .* local_files=1;1000;;0/,
    )
    expect(used.lines[1]).toMatch(/^HINT: Mend a path\./)
    expect((await check('-c', 'local_files=0')).status).toBe(2)
    await host.plugIn()
    await host.wake()
    await host.pgarch('local', 'drain')
    expect((await check()).status).toBe(0)
  })

  test('a local archive that cannot be read is unknown', async () => {
    renameSync(host.localRoot, `${host.localRoot}.away`)
    onTestFinished(() => renameSync(`${host.localRoot}.away`, host.localRoot))
    const { status, first } = await check()
    expect(first).toMatch(/^PGARCH UNKNOWN: cluster "app": .*local archive/)
    expect(status).toBe(3)
  })

  test('no path takes a file, and none is kept here: critical, with the reason', async () => {
    await host.unplug()
    host.primary.configure({ archive_command: 'false pgarch' })
    await host.primary.query('select pg_reload_conf()')
    const walName = await endSegment(host.primary)
    expect(await pushWithoutLocal(walName)).toBe(1)
    const { status, first, lines } = await check()
    expect(status).toBe(2)
    expect(first).toContain(`${walName} could not be archived at`)
    expect(first).toContain(`no path of cluster "app" took "${walName}"`)
    const own = await host.pgarch('status', '--host')
    expect(own.status).toBe(1)
    expect(own.stdout).toContain(`"${walName}" could not be archived: no path of cluster "app"`)
    expect((await host.pgarch('status', '--host', '--json')).stdout).toMatch(/"readyFiles": 1,/)
    expect(lines).toContain('HINT: PostgreSQL keeps the file and tries again.')

    await host.plugIn()
    await host.wake()
    host.primary.configure(fleet.archiveSettings as Record<string, string>)
    await host.primary.query('select pg_reload_conf()')
    await archiveSegment(host.primary)
    expect((await check()).status).toBe(0)
  })

  test('archive_command fails before pgarch can say why', async () => {
    host.primary.configure({ archive_command: 'false pgarch' })
    await host.primary.query('select pg_reload_conf()')
    const walName = await endSegment(host.primary)
    await waitFor('the archiver has failed', async () => (await check()).status === 2)
    expect((await check()).first).toContain(`archive_command failed for ${walName}, last at`)
    host.primary.configure(fleet.archiveSettings as Record<string, string>)
    await host.primary.query('select pg_reload_conf()')
    await archiveSegment(host.primary)
    expect((await check()).status).toBe(0)
  })
})

describe('what waits', () => {
  const name = '0000000100000000000000F0'
  const ready = () => join(host.primary.dataDirectory, 'pg_wal/archive_status', `${name}.ready`)

  async function waitsFor(seconds: number) {
    writeFileSync(ready(), '')
    ownByUnprivileged(ready())
    const time = new Date(Date.now() - seconds * 1000)
    await utimes(ready(), time, time)
  }

  afterEach(() => rmSync(ready(), { force: true }))

  test.each([
    [250, 0, []],
    [400, 1, []],
    [1000, 2, []],
    [400, 0, ['-w', '500']],
    [400, 2, ['-c', '300']],
    [1000, 0, ['-w', 'ready_age=2000', '-c', '2000:3000', '-c', '2000']],
    [10, 1, ['-w', 'ready_files=0']],
  ])('a file for %i s is %i with %j', async (seconds, status, words) => {
    await waitsFor(seconds)
    const told = await check(...words)
    expect(told.status).toBe(status)
    if (status !== 0) expect(told.first).toContain('1 file waits to be archived, the oldest for')
  })
})

describe('what the scheduling database decided', () => {
  afterEach(async () => {
    await fleet.admin('cluster', 'start', 'app')
    await archiveSegment(host.primary)
    expect((await check()).status).toBe(0)
  })

  test('a paused cluster is a warning, and its failing pushes are what was asked for', async () => {
    await fleet.admin('cluster', 'pause', 'app', '--reason', 'new disks')
    const walName = await endSegment(host.primary)
    expect(await pushWithoutLocal(walName)).toBe(1)
    const { status, first } = await check()
    expect(first).toMatch(
      /^PGARCH WARNING: cluster "app": paused, WAL waits .*: new disks; read at/,
    )
    expect(status).toBe(1)
  })

  test('a stopped cluster is critical', async () => {
    await fleet.admin('cluster', 'stop', 'app', '--yes-lose-wal', '--reason', 'bulk load')
    await archiveSegment(host.primary)
    const { status, first } = await check()
    expect(first).toMatch(
      /^PGARCH CRITICAL: cluster "app": stopped, WAL is dropped \(.*: bulk load; read at/,
    )
    expect(status).toBe(2)
  })

  test('what waits in the journal is told, and with time a warning', async () => {
    await fleet.schedule.stop()
    await archiveSegment(host.primary)
    expect((await check('-v')).lines.join('\n')).toMatch(/1 record waits in the journal/)
    const young = await check('-w', 'journal_age=0:0')
    expect(young.status).toBe(1)
    await fleet.schedule.start()
    await host.wake()
  })
})

describe('the production server', () => {
  test('another fingerprint is critical, none a warning', async () => {
    const [row] = await host.primary.query<{ uuid: string }>('select uuid from pgarch.fingerprint')
    await host.primary.query('update pgarch.fingerprint set uuid = gen_random_uuid()')
    const other = await check()
    await host.primary.query('delete from pgarch.fingerprint')
    const none = await check()
    await host.primary.query(
      `insert into pgarch.fingerprint (uuid, wal_segment_size) values ($1, 1048576)`,
      [row?.uuid],
    )
    expect(other.first).toMatch(/CRITICAL: .*holds fingerprint .* but its WAL is archived as that/)
    expect(none.first).toMatch(/WARNING: .*holds no fingerprint/)
    expect([other.status, none.status]).toEqual([2, 1])
  })

  test.each([
    ['', 2, 'archive_command is empty'],
    ['cp %p /backup/%f', 1, 'archive_command does not name pgarch: cp %p /backup/%f'],
  ])('archive_command "%s" is %i', async (command, status, text) => {
    host.primary.configure({ archive_command: command })
    await host.primary.query('select pg_reload_conf()')
    const told = await check()
    host.primary.configure(fleet.archiveSettings as Record<string, string>)
    await host.primary.query('select pg_reload_conf()')
    expect(told.first).toContain(text)
    expect(told.status).toBe(status)
  })

  test('archive_mode off is critical, and a server that does not run unknown', async () => {
    await host.primary.stop()
    const down = await check()
    expect(down.first).toMatch(/^PGARCH UNKNOWN: cluster "app": no server runs on/)
    expect(down.status).toBe(3)
    host.primary.configure({ archive_mode: 'off' })
    await host.primary.start()
    const off = await check()
    expect(off.first).toMatch(/^PGARCH CRITICAL: cluster "app": archive_mode is off/)
    expect(off.status).toBe(2)
    await host.primary.stop()
    host.primary.configure({ archive_mode: 'on' })
    await host.primary.start()
    expect((await check()).status).toBe(0)
  })

  test('a server that hangs is told, and hides nothing of what can be looked at', async () => {
    host.primary.kill('SIGSTOP')
    onTestFinished(() => host.primary.kill('SIGCONT'))
    const { status, first } = await check('-t', '10', '-w', 'pg_wal_free=0')
    expect(first).toMatch(/^PGARCH UNKNOWN: cluster "app": no answer within 8 s -- .* are free/)
    expect(status).toBe(3)
  })
})

describe('what it cannot look at', () => {
  test('no time is left', async () => {
    const { status, first } = await check('-t', '0.01')
    expect(first).toMatch(/^PGARCH UNKNOWN: .*no answer within 0.0/)
    expect(status).toBe(3)
  })

  test('a role that may not read', async () => {
    const { status, first } = await check('--pguser', 'nobody')
    expect(first).toMatch(/^PGARCH UNKNOWN: .*role "nobody" does not exist/)
    expect(status).toBe(3)
  })

  test('a data directory that is not registered, where every push is refused', async () => {
    const other = makeFolder(fleet.folder, 'other')
    const { dataDirectory } = host.primary
    makeFolder(other, 'global')
    for (const file of ['PG_VERSION', 'global/pg_control']) {
      cpSync(join(dataDirectory, file), join(other, file))
      ownByUnprivileged(join(other, file))
    }
    const { status, first, lines } = await check('--pgdata', other)
    expect(first).toMatch(/^PGARCH CRITICAL: data directory .* is not registered/)
    expect(lines[1]).toMatch(/^HINT: .*register --member/)
    expect(status).toBe(2)
  })

  test('no data directory, none registered, or one that is gone', async () => {
    const gone = await check('--pgdata', join(fleet.folder, 'gone'))
    expect(gone.first).toMatch(/^PGARCH UNKNOWN: data directory .* is not a PostgreSQL data dir/)
    const empty = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'empty') }
    const none = await fleet.pgarch(['check'], { environment: empty })
    expect(none.stdout).toMatch(/^PGARCH UNKNOWN: no data directory is registered below/)
    expect([gone.status, none.status]).toEqual([3, 3])
  })

  test('one that may be registered where nobody may look is not passed over', async () => {
    const closed = join(fleet.environment.PGARCH_STATE_DIR ?? '', 'closed')
    mkdirSync(closed, { mode: 0 })
    onTestFinished(() => rmdirSync(closed))
    const words = ['check', '--pguser', 'postgres', '-t', '120']
    const { status, stdout } = await host.pgarch(...words)
    expect(stdout).toMatch(
      /^PGARCH UNKNOWN: data directories in "\/closed": could not read directory .*: permission denied \| ready_age=0s;/,
    )
    expect(status).toBe(3)
    const own = await host.pgarch('status', '--host')
    expect(own.stdout).toMatch(/^\/closed: could not read directory/m)
    expect(own.status).toBe(1)
  })

  test.skipIf(process.getuid?.() !== 0)('another user, to whom all of it is closed', () => {
    const id = (option: string) => Number(execFileSync('id', [option, 'nobody']))
    const { pgarch } = installation()
    for (const words of [[], ['-D', host.primary.dataDirectory]]) {
      const { status, stdout } = spawnSync(pgarch, ['check', ...words], {
        ...{ uid: id('-u'), gid: id('-g'), cwd: '/', encoding: 'utf8' },
        env: { ...fleet.environment, HOME: '/' },
      })
      expect(stdout).toMatch(/^PGARCH UNKNOWN: \S/)
      expect(status).toBe(3)
    }
  })

  test.each([
    ['--frobnicate'],
    ['-w', 'x'],
    ['-w', 'age=5'],
    ['-t', '0'],
    ['-t', 'soon'],
    ['--host', '--switch'],
    ['one too many'],
  ])('wrong usage is 3, and says so on standard output: %s %s', async (...words) => {
    const { status, first } = await check(...words)
    expect(first).toMatch(/^PGARCH UNKNOWN: \S/)
    expect(status).toBe(3)
  })

  test('a help is 3, too', async () => {
    expect((await check('--help')).status).toBe(3)
    expect((await fleet.pgarch(['check', '--help'])).status).toBe(3)
    expect((await fleet.pgarch(['check', '--version'])).status).toBe(3)
  })
})

test('a recovery that waits for WAL, and reads ahead, is a warning', async () => {
  const { primary, backup } = await startSource(fleet, 'copied', ['app'])
  const { server } = await startWaiting(fleet, backup, '', {
    wait: false,
    settings: { recovery_prefetch: 'try' },
  })
  await untilWaiting(server)
  await fleet.admin('register', '--member', '--pgdata', server.dataDirectory, '--offline')
  const { status, first } = await check('--pgdata', server.dataDirectory)
  expect(first).toMatch(/^PGARCH WARNING: .*recovery_prefetch is "try" while restore_command waits/)
  expect(status).toBe(1)
  await server.stop()
  server.configure({ recovery_prefetch: 'off' })
  await server.start({ wait: false })
  await untilWaiting(server)
  expect((await check('--pgdata', server.dataDirectory)).status).toBe(0)
  const all = await fleet.pgarch(['check', '--pguser', 'postgres', '-t', '120', '-v'])
  expect(all.stdout).toMatch(/^PGARCH OK: 3 data directories on this host \| /)
  const labels = [...all.stdout.matchAll(/ (\/\S+)\.ready_age=/g)].map(([, label]) => label)
  const directories = [host.primary, primary, server].map((one) => one.dataDirectory)
  expect(labels.sort()).toEqual(directories.sort())
  expect(all.stdout).toContain(`OK: cluster "copied" in "${server.dataDirectory}": `)
  const switched = await check('--switch', '--pgdata', server.dataDirectory)
  expect(switched.first).toMatch(/^PGARCH UNKNOWN: cluster "copied": \S/)
  expect(switched.status).toBe(3)
})
