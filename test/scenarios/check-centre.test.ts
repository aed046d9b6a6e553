import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { installation } from '../support/installation.ts'
import { startHost } from '../support/local-archive-host.ts'
import type { Server } from '../support/postgres.ts'
import { fingerprintOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

let fleet: Fleet
let sshd: Sshd
let primary: Server
let berlin: string
let watcher: string

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  berlin = await fleet.addPath('berlin', { sshd })
  primary = await fleet.startPrimary('app', ['berlin'], { settings: { archive_timeout: '60s' } })
  await archiveSegment(primary)
  await fleet.schedule.query('create role watcher login in role pgarch_monitor, pg_monitor')
  watcher = fleet.schedule.url('pgarch', 'watcher')
})

/** As monitoring does, which may read, and keep what it found at a path. */
const run = (...words: string[]) =>
  fleet.pgarch(['check', ...words], { environment: { PGARCH_SCHEDULE_URL: watcher } })

/** However full the disk is that the tests run on. */
const check = (...words: string[]) =>
  words.some((word) => ['--path', '--fleet'].includes(word))
    ? run(...words, '-w', 'used=100', '-c', 'used=100')
    : run(...words)

describe('a cluster, its path and the fleet, from the centre', () => {
  it('all is well', async () => {
    const one = await check('--cluster', 'app')
    expect(one.stdout).toMatch(
      /^PGARCH OK: cluster "app": last archived 0{7}1\w{16} at .* \| last_file_age=[\d.]+s;360;;0 failures=0;;;0 conflicts=0;;;0 local_files=0;;;0\n$/,
    )
    expect(one).toMatchObject({ status: 0, stderr: '' })
    const path = await check('--path', 'berlin')
    expect(path.stdout).toMatch(
      /^PGARCH OK: path "berlin": in the route of 1 cluster, the last file was .* stored there \| used=[\d.]+%;100;100;0;100 free=\d+B;/,
    )
    expect(path.status).toBe(0)
    const all = await check('--fleet')
    expect(all.stdout).toMatch(/^PGARCH OK: 1 cluster and 1 path; oldest last file: cluster "app"/)
    expect(all.status).toBe(0)
  })

  it('thresholds decide, and each kind has its own measures', async () => {
    expect(await check('--cluster', 'app', '-c', '0')).toMatchObject({
      status: 2,
      stdout: expect.stringMatching(/^PGARCH CRITICAL: cluster "app": the last file was archived/),
    })
    expect((await check('--fleet', '-w', 'connections=0')).stdout).toMatch(
      /^PGARCH WARNING: scheduling database: \d+ of \d+ connections are in use/,
    )
    expect((await run('--path', 'berlin', '-w', '~:0', '-c', '100')).status).toBe(1)
    const wrong = await check('--path', 'berlin', '-w', 'ready_age=1')
    expect(wrong).toMatchObject({
      status: 3,
      stdout: expect.stringContaining('this check has no measure "ready_age"'),
    })
  })

  it('what cannot be looked at is unknown', async () => {
    for (const words of [
      ['--cluster', 'nowhere'],
      ['--path', 'nowhere'],
      ['--cluster', 'app', '--fleet'],
      ['--host', '--path', 'berlin'],
      ['--probe'],
      ['--fleet', '--schedule', 'postgresql://watcher@127.0.0.1:1/pgarch'],
    ]) {
      const { status, stdout } = await check(...words)
      expect([words, status, stdout]).toEqual([
        words,
        3,
        expect.stringMatching(/^PGARCH UNKNOWN: /),
      ])
    }
  })

  it('what register read of archive_timeout says how old the last file may be', async () => {
    const age = (interval: string) =>
      fleet.rows(
        `update pgarch.arch_db_status set last_archived_time = now() - interval '${interval}'`,
      )
    await age('400 s')
    expect(await check('--cluster', 'app')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('cluster "app": the last file was archived 6 min ago'),
    })
    expect((await check('--fleet')).status).toBe(1)
    expect((await fleet.pgarch(['status'], { admin: true })).status).toBe(1)
    await primary.query("alter system set archive_timeout = '10min'")
    await primary.query('select pg_reload_conf()')
    const words = ['register', '--pgdata', primary.dataDirectory, '--pguser', 'postgres']
    await fleet.admin(...words)
    expect((await check('--cluster', 'app')).status).toBe(0)
    await age('0 s')
  })

  it('a pause warns, a conflict is critical, and both are over when they are', async () => {
    await fleet.admin('cluster', 'pause', 'app', '--reason', 'disk is replaced')
    expect(await check('--cluster', 'app')).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(
        /^PGARCH WARNING: cluster "app": paused \(.*disk is replaced\)/,
      ),
    })
    await fleet.admin('cluster', 'start', 'app')
    await fleet.rows(
      `insert into pgarch.arch_conflict (db_id, wal_name, member_id)
       select db_id, '000000010000000000000001', id from pgarch.arch_member`,
    )
    const all = await check('--fleet')
    expect(all.stdout).toMatch(/^PGARCH CRITICAL: cluster "app": 1 conflict \| .*conflicts=1;/)
    expect(all.stdout).toContain('HINT: See "pgarch conflict list app"')
    expect(all.status).toBe(2)
    await fleet.rows('update pgarch.arch_conflict set resolved_time = now()')
    expect((await check('--fleet')).status).toBe(0)
  })

  it('a cluster that was retired is not taken for one that is well', async () => {
    await fleet.admin('cluster', 'retire', 'app')
    const one = await check('--cluster', 'app')
    const ranged = await check('--cluster', 'app', '-c', '0')
    const status = await fleet.pgarch(['status', 'app'], { admin: true })
    await fleet.admin('cluster', 'reinstate', 'app')
    expect(one).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(
        /^PGARCH WARNING: cluster "app": retired, .* \| last_file_age=[\d.]+s;;;0 failures=/,
      ),
    })
    expect(ranged).toMatchObject({
      status: 2,
      stdout: expect.stringMatching(/^PGARCH CRITICAL: .* -- cluster "app": retired,/),
    })
    expect(status).toMatchObject({ status: 1, stdout: expect.stringMatching(/^retired, /m) })
    expect((await check('--cluster', 'app')).status).toBe(0)
  })

  it('a path dies: critical everywhere, until it takes files again', async () => {
    sshd.kill()
    const name = await endSegment(primary)
    await waitFor('it is known', async () => (await check('--path', 'berlin')).status === 2)
    const path = await check('--path', 'berlin')
    expect(path.stdout).toMatch(
      /^PGARCH CRITICAL: path "berlin": cannot be used, as of .*: could not connect/,
    )
    const cluster = await check('--cluster', 'app')
    expect(cluster.stdout).toMatch(
      /^PGARCH CRITICAL: cluster "app": \d+ failed tr(y|ies): path "berlin"/,
    )
    expect(cluster.status).toBe(2)
    const all = await check('--fleet')
    expect(all.stdout).toMatch(/ clusters_critical=1;.* paths_failing=1;/)
    expect(all.status).toBe(2)
    const { stdout } = await fleet.pgarch(['status'], { admin: true })
    expect(stdout).toMatch(/^path "berlin": cannot be used, as of .*\n\ncluster /m)
    await sshd.restart()
    await wakeArchiver(primary)
    await untilArchived(primary, name)
    expect((await check('--path', 'berlin')).status).toBe(0)
    expect((await check('--fleet')).status).toBe(0)
  })
})

describe('a look at the paths themselves', () => {
  const marker = () => join(berlin, 'pgarch-path')

  const look = (environment: Record<string, string>, ...words: string[]) =>
    fleet.pgarch(['check', '--fleet', '--probe', '-c', 'used=100', ...words], {
      environment: { PGARCH_SCHEDULE_URL: watcher, ...environment },
    })

  /** A private key that no path knows. */
  function strangersKey(): string {
    const file = join(fleet.folder, 'stranger')
    const command = ['-q', '-t', 'ed25519', '-N', '', '-f', file]
    execFileSync('ssh-keygen', command, { ...asUnprivileged(), stdio: 'inherit' })
    return file
  }

  it('finds a path that nobody uses dead, and keeps that for all who ask', async () => {
    sshd.kill()
    expect((await check('--path', 'berlin')).status).toBe(0)
    for (const words of [['--path', 'berlin'], ['--cluster', 'app'], ['--fleet']]) {
      const probed = await check(...words, '--probe')
      expect(probed.stdout).toMatch(
        /^PGARCH CRITICAL: path "berlin": cannot be used, as of .*ECONNREFUSED/,
      )
      expect(probed.status).toBe(2)
    }
    expect((await check('--path', 'berlin')).status).toBe(2)
    await sshd.restart()
    await fleet.admin('path', 'test', 'berlin')
    expect((await check('--path', 'berlin')).status).toBe(0)
  })

  it('finds the wrong path there', async () => {
    const right = readFileSync(marker())
    writeFileSync(marker(), String(right).replaceAll(/[0-9a-f]{12}/g, '0'.repeat(12)))
    expect(await check('--fleet', '--probe')).toMatchObject({
      status: 2,
      stdout: expect.stringMatching(/^PGARCH CRITICAL: path "berlin": .* is another path's/),
    })
    const tested = await fleet.pgarch(['path', 'test', 'berlin'], { admin: true })
    expect(tested.status).toBe(1)
    writeFileSync(marker(), right)
    expect((await check('--fleet')).status).toBe(2)
    expect((await check('--fleet', '--probe')).status).toBe(0)
    expect((await check('--fleet')).status).toBe(0)
  })

  it('a path that hangs holds up nothing for longer than the time there is', async () => {
    sshd.freeze()
    const hung = await look({ PGARCH_SSH_CONNECT_TIMEOUT: '0.8s' }, '--timeout', '2')
    sshd.thaw()
    expect(hung.stdout).toMatch(
      /^PGARCH CRITICAL: path "berlin": cannot be used, .*no answer within 0.8 s/,
    )
    expect(hung.status).toBe(2)
    expect((await check('--fleet', '--probe')).status).toBe(0)
  })

  it('what stands in the way here is unknown, and nobody else hears of it', async () => {
    sshd.freeze()
    const short = await look({}, '--timeout', '2')
    sshd.thaw()
    const looks = [
      short,
      await look({ PGARCH_SSH_IDENTITY: '/nowhere' }),
      await look({ PGARCH_SSH_IDENTITY: strangersKey() }),
    ]
    const reasons = ['no answer within 0.8 s', 'could not read SSH private key', 'no SSH key was']
    for (const [index, { status, stdout }] of looks.entries()) {
      expect({ status, stdout }).toEqual({
        status: 3,
        stdout: expect.stringMatching(
          `^PGARCH UNKNOWN: path "berlin": could not be looked at from here: .*${reasons[index]}`,
        ),
      })
    }
    await fleet.pgarch(['path', 'test', 'berlin'], {
      admin: true,
      environment: { PGARCH_SSH_IDENTITY: '/nowhere' },
    })
    expect((await check('--fleet')).status).toBe(0)
  })

  it('a scheduling database that hangs is unknown, and has nothing left to do once nobody waits', async () => {
    const locks = async (granted: boolean) => {
      const rows = await fleet.rows(
        `select from pg_locks where relation = 'pgarch.arch_path_info'::regclass
           and mode like 'Access%' and granted = ${granted}`,
      )
      return rows.length
    }
    const holding = fleet.rows('begin; lock pgarch.arch_path_info; select pg_sleep(8); commit')
    await waitFor('it is locked', async () => (await locks(true)) === 1)
    const hung = await check('--fleet', '--timeout', '2')
    expect(hung).toMatchObject({ status: 3, stdout: expect.stringMatching(/^PGARCH UNKNOWN: /) })
    await waitFor('the server has given up, too', async () => (await locks(false)) === 0)
    expect(await locks(true)).toBe(1)
    await holding
  })

  it('a local path is on other hosts, and is left alone but where it is named', async () => {
    const root = await fleet.addPath('nas')
    await fleet.admin('route', 'set', 'app', 'nas', '--priority', '1')
    writeFileSync(join(root, 'pgarch-path'), 'x')
    expect((await check('--fleet', '--probe')).status).toBe(0)
    expect((await check('--cluster', 'app', '--probe')).status).toBe(0)
    expect((await check('--path', 'nas', '--probe')).status).toBe(2)
    await fleet.rows('delete from pgarch.arch_path_map where path_id <> 1')
    await fleet.rows("delete from pgarch.arch_path_info where name = 'nas'")
  })

  it('a lost path is not looked at, and that is told', async () => {
    await fleet.addPath('gone')
    await fleet.rows('delete from pgarch.arch_path_probe')
    await fleet.admin('path', 'lost', 'gone', '--yes-lose-wal')
    const probed = await run('--path', 'gone', '--probe')
    expect(probed).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(
        /^PGARCH UNKNOWN: path "gone": declared lost, and so was not looked at \| files=0;/,
      ),
    })
    expect(await fleet.rows('select from pgarch.arch_path_probe')).toEqual([])
    const known = await run('--path', 'gone')
    expect(known.stdout).toMatch(/^PGARCH OK: path "gone": declared lost at /)
    await fleet.rows("delete from pgarch.arch_path_info where name = 'gone'")
    await fleet.admin('path', 'test', 'berlin')
  })

  it('nobody knows how full a path is: a threshold for it is unknown', async () => {
    await fleet.rows('update pgarch.arch_path_probe set free_bytes = null')
    expect((await run('--path', 'berlin')).status).toBe(0)
    expect(await run('--path', 'berlin', '-w', '80')).toMatchObject({
      status: 3,
      stdout: expect.stringMatching(/^PGARCH UNKNOWN: "used", .*\| .* used=U;80\n/),
    })
    expect((await run('--fleet', '-c', 'used=1')).status).toBe(3)
    expect((await run('--fleet', '-c', 'standby_lag=60')).status).toBe(3)
    expect((await run('--fleet', '-c', 'oldest_transaction=3600')).status).toBe(0)
    expect((await check('--path', 'berlin', '--probe')).status).toBe(0)
  })
})

it('a local archive in use warns, and no more once it is drained', async () => {
  const host = await startHost(fleet, 'away')
  await host.unplug()
  await archiveSegment(host.primary)
  expect(await check('--cluster', 'away')).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('1 file only in a local archive'),
  })
  expect((await check('--fleet')).stdout).toMatch(/ local_files=1;/)
  await host.plugIn()
  await host.wake()
  await archiveSegment(host.primary)
  await waitFor('it is drained', async () => (await check('--cluster', 'away')).status === 0)
  await host.primary.stop('immediate')
})

it('a journal that was late is told of for a while', async () => {
  const member = `select id from pgarch.arch_member where db_id = '${await fingerprintOf(fleet, 'app')}'`
  await fleet.rows(
    `insert into pgarch.arch_member_late
     select '${await fingerprintOf(fleet, 'app')}', id, now(), '3 hours' from (${member}) m`,
  )
  expect(await check('--cluster', 'app')).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/told at .* what had waited in its journal for 3 h/),
  })
  await fleet.rows("update pgarch.arch_member_late set late_time = now() - interval '1 hour'")
  expect((await check('--cluster', 'app')).status).toBe(0)
})

it('status --watch shows it again and again, also when the scheduling database is away, and ends with its launcher', async () => {
  const { pgarch: program } = installation()
  const child = spawn(program, ['status', '--watch', '1s'], {
    env: { ...fleet.environment, PGARCH_SCHEDULE_URL: watcher },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    ...asUnprivileged(),
  })
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk
  })
  const again = async (pattern: RegExp) => {
    shown = ''
    await waitFor(`${pattern} shows`, () => pattern.test(shown))
  }
  try {
    await again(/^app .*start.*\n(.*\n)*app .*start/m)
    await fleet.schedule.stop('immediate')
    await again(/^scheduling database at .*ECONNREFUSED/m)
    await fleet.schedule.start()
    await again(/^app .*start/m)
    const closed = once(child.stdout, 'close') // Node.js has it, too
    child.kill('SIGKILL')
    await closed
  } finally {
    spawnSync('kill', ['-KILL', '--', `-${child.pid}`])
  }
})
