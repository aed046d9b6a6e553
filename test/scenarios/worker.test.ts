import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { installation } from '../support/installation.ts'
import type { Server } from '../support/postgres.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

let fleet: Fleet
const primaries: Server[] = []

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_WORKER_IDLE: '1min' } })
  await fleet.addPath('berlin')
})

afterEach(async () => {
  for (const primary of primaries.splice(0)) {
    if (primary.isRunning) await primary.stop('immediate')
    await waitFor('its worker ends', () => workerOf(primary) === undefined)
  }
})

async function startPrimary(name: string, environment: Record<string, string> = {}) {
  const primary = await fleet.startPrimary(name, ['berlin'], { environment })
  primaries.push(primary)
  return primary
}

function stateOf(server: Server, ...below: string[]): string {
  return join(fleet.environment.PGARCH_STATE_DIR ?? '', server.dataDirectory, '@pgarch', ...below)
}

/** The pid of a worker that is there, zombies not counted. */
function workerOf(server: Server): number | undefined {
  try {
    const pid = Number(readFileSync(stateOf(server, 'worker.pid'), 'utf8'))
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return command.includes('worker') && !/\) Z/.test(stat) ? pid : undefined
  } catch {
    return undefined
  }
}

async function untilWorking(server: Server): Promise<number> {
  await waitFor('a worker is there', () => workerOf(server) !== undefined)
  return workerOf(server) ?? 0
}

/** Finishes segments while archiving is held up, so that there is a backlog. */
async function holdBack(server: Server, segments: number): Promise<void> {
  await setArchiveCommand(server, 'false')
  await writeSegments(server, segments)
}

async function setArchiveCommand(server: Server, command: string): Promise<void> {
  server.configure({ archive_command: command })
  await server.query('select pg_reload_conf()')
}

const letGo = (server: Server) =>
  setArchiveCommand(server, fleet.archiveSettings.archive_command ?? '')

async function writeSegments(server: Server, segments: number): Promise<void> {
  await server.query('create table if not exists filler (n int)')
  for (let done = 0; done < segments; done++) {
    await server.query('insert into filler select generate_series(1, 100); select pg_switch_wal()')
  }
}

function readyFiles(server: Server): string[] {
  const folder = join(server.dataDirectory, 'pg_wal', 'archive_status')
  return readdirSync(folder).filter((name) => name.endsWith('.ready'))
}

/** Every file is archived once, in one copy, and without a gap between them; resolves to the last. */
async function archivedOnce(name: string): Promise<string | undefined> {
  const rows = await fleet.rows<{ wal_name: string; copies: number }>(
    `select f.wal_name, (select count(*)::int from pgarch.arch_copy c
                         where c.db_id = f.db_id and c.wal_name = f.wal_name) as copies
     from pgarch.arch_file f join pgarch.arch_db_info d on d.id = f.db_id
     where d.name = $1 order by 1`,
    [name],
  )
  expect(rows.every(({ copies }) => copies === 1)).toBe(true)
  const [cluster] = await fleet.rows<{ id: string }>(
    'select id from pgarch.arch_db_info where name = $1',
    [name],
  )
  const folder = join(fleet.folder, 'berlin', cluster?.id ?? '', '0000000100000000')
  const stored = readdirSync(folder).filter((file) => file.endsWith('.zst'))
  expect(stored.sort()).toEqual(rows.map(({ wal_name }) => `${wal_name}.zst`))
  const numbers = rows.map(({ wal_name }) => Number.parseInt(wal_name.slice(16), 16))
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
  return rows.at(-1)?.wal_name
}

async function archiverFailures(server: Server): Promise<number> {
  const [row] = await server.query<{ failed: number }>(
    'select failed_count::int as failed from pg_stat_archiver',
  )
  return row?.failed ?? -1
}

it('drains a backlog ahead of PostgreSQL, and clears its markers away', async () => {
  const primary = await startPrimary('backlog')
  await holdBack(primary, 40)
  await letGo(primary)
  const last = await archiveSegment(primary)
  expect(await archivedOnce('backlog')).toBe(last)
  await untilWorking(primary)
  await waitFor('no marker is left', () =>
    readdirSync(stateOf(primary, 'pushed')).every(
      (life) => readdirSync(stateOf(primary, 'pushed', life)).length === 0,
    ),
  )
})

it('killed again and again under load: nothing is lost or doubled, and no push fails', async () => {
  const rounds = Number(process.env.PGARCH_TEST_KILLS ?? 8)
  const primary = await startPrimary('killed')
  await archiveSegment(primary)
  const before = await archiverFailures(primary)
  let kills = 0
  let writing = true
  const killing = (async () => {
    while (writing) {
      const pid = workerOf(primary)
      if (pid !== undefined) {
        process.kill(pid, 'SIGKILL')
        kills++
      }
      await sleep(Math.random() * 400)
    }
  })()
  while (kills < rounds) {
    // Not faster than they are archived, or the backlog grows with the kills.
    if (readyFiles(primary).length < 100) await writeSegments(primary, 3)
    else await sleep(100)
  }
  writing = false
  await killing
  const last = await archiveSegment(primary)
  await waitFor('nothing waits', () => readyFiles(primary).length === 0)
  expect(await archivedOnce('killed')).toBe(last)
  expect(await archiverFailures(primary)).toBe(before)
})

describe('a server is not held up when it stops', () => {
  it.each(['fast', 'smart'] as const)(
    '%s: everything that was finished is archived',
    async (mode) => {
      const primary = await startPrimary(`stop-${mode}`)
      await archiveSegment(primary)
      await untilWorking(primary)
      await holdBack(primary, 12)
      await letGo(primary)
      await primary.stop(mode)
      expect(readyFiles(primary)).toEqual([])
      await waitFor('its worker ends', () => workerOf(primary) === undefined)
    },
  )

  it('immediate: what was not archived follows after the next start', async () => {
    const primary = await startPrimary('stop-immediate')
    await archiveSegment(primary)
    await holdBack(primary, 12)
    await letGo(primary)
    await primary.stop('immediate')
    await primary.start()
    await archiveSegment(primary)
    await waitFor('nothing waits', () => readyFiles(primary).length === 0)
    await archivedOnce('stop-immediate')
  })

  it('a worker that was stopped by a signal is done without', async () => {
    const primary = await startPrimary('stopped-worker')
    await archiveSegment(primary)
    const pid = await untilWorking(primary)
    process.kill(pid, 'SIGSTOP')
    try {
      await writeSegments(primary, 2)
      await primary.stop('fast')
      expect(readyFiles(primary)).toEqual([])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })
})

it('tells the server’s log why a file is not archived', async () => {
  const primary = await startPrimary('failing')
  await archiveSegment(primary)
  await untilWorking(primary)
  await fleet.admin('cluster', 'pause', 'failing', '--reason', 'moving house')
  await writeSegments(primary, 1)
  await waitFor('push says it', () => /is at pause by .*: moving house/.test(primary.log()))
  expect(readdirSync(stateOf(primary, 'failed')).length).toBe(1)
  await fleet.admin('cluster', 'start', 'failing')
  await archiveSegment(primary)
  await archivedOnce('failing')
})

it('a stopped cluster’s WAL is dropped by pushes that ask for themselves', async () => {
  const primary = await startPrimary('dropping')
  const kept = await archiveSegment(primary)
  await untilWorking(primary)
  await fleet.admin('cluster', 'stop', 'dropping', '--yes-lose-wal')
  const dropped = await archiveSegment(primary)
  expect(
    await fleet.rows('select wal_name from pgarch.arch_gap g where wal_name = $1', [dropped]),
  ).toEqual([{ wal_name: dropped }])
  expect(await archivedOnce('dropping')).toBe(kept)
})

it('two workers are one, and none is started with push.worker off', async () => {
  const primary = await startPrimary('single')
  await archiveSegment(primary)
  const pid = await untilWorking(primary)
  const second = await fleet.pgarch(['worker', primary.dataDirectory])
  expect(second.status).toBe(0)
  expect(workerOf(primary)).toBe(pid)

  const without = await startPrimary('without', { PGARCH_PUSH_WORKER: 'off' })
  await archiveSegment(without)
  expect(existsSync(stateOf(without, 'worker.pid'))).toBe(false)
})

it('inherits no descriptor, and lives in a session of its own', async () => {
  const primary = await startPrimary('descriptors')
  await setArchiveCommand(primary, `exec 9<PG_VERSION; ${fleet.archiveSettings.archive_command}`)
  await archiveSegment(primary)
  const pid = await untilWorking(primary)
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
  expect(open.filter((file) => file.startsWith(primary.folder))).toEqual([])
  expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/')
  const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3]
  expect(session).not.toBe(String(primary.pid))
})

it('ends when another version of pgarch is installed, and the next push starts that', async () => {
  const primary = await startPrimary('upgraded')
  await archiveSegment(primary)
  const pid = await untilWorking(primary)
  const now = new Date()
  utimesSync(join(installation().root, 'dist', 'pgarch.cjs'), now, now)
  await waitFor('it ends', () => workerOf(primary) !== pid)
  await archiveSegment(primary)
  expect(await untilWorking(primary)).not.toBe(pid)
})

const canUnshare = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0

describe.runIf(canUnshare)('a server that is process 1, as in a container', () => {
  /** A server on the data directory of one that was stopped, as process 1 of a namespace. */
  async function startAsFirst(primary: Server): Promise<() => Promise<void>> {
    await primary.stop('fast')
    const { bin } = primary.version
    const { uid, gid } = asUnprivileged()
    const drop =
      uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
    const child = spawn(
      'unshare',
      ['--pid', '--fork', '--kill-child', '--mount-proc', ...drop].concat(
        join(bin, 'postgres'),
        '-D',
        primary.dataDirectory,
      ),
      { cwd: '/', env: { ...fleet.environment, LC_ALL: 'C' }, stdio: 'ignore' },
    )
    await waitFor('it accepts connections', () =>
      primary.query('select 1').then(
        () => true,
        () => false,
      ),
    )
    return async () => {
      child.kill('SIGKILL')
      await waitFor('it ends', () => child.exitCode !== null || child.signalCode !== null)
    }
  }

  it('has no worker, as an orphan’s death would be a crash to it', async () => {
    const primary = await startPrimary('first', { PGARCH_PUSH_WORKER: 'on' })
    primary.configure({ logging_collector: true, log_directory: 'log', log_filename: 'first.log' })
    const stop = await startAsFirst(primary)
    try {
      await archiveSegment(primary)
      expect(workerOf(primary)).toBeUndefined()

      // The proof that one would have been a danger: an orphan of the archiver's, killed.
      await setArchiveCommand(primary, 'setsid sleep 987 >/dev/null 2>&1 & true')
      await writeSegments(primary, 1)
      const orphans = () => spawnSync('pgrep', ['-f', '^sleep 987$'], { encoding: 'utf8' }).stdout
      await waitFor('there is an orphan', () => orphans() !== '')
      for (const orphan of orphans().trim().split('\n')) process.kill(Number(orphan), 'SIGKILL')
      const log = () => readFileSync(join(primary.dataDirectory, 'log', 'first.log'), 'utf8')
      await waitFor('it crashes', () => /terminating any other active server processes/.test(log()))
    } finally {
      await stop()
    }
  })
})
