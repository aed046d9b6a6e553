import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, readlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { installation, installLauncher } from '../support/installation.ts'
import { findProgram } from '../support/parts.ts'
import type { Server } from '../support/postgres.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import {
  archivedOnce,
  archiverFailures,
  holdBack,
  letGo,
  readyFiles,
  setArchiveCommand,
  stateOf,
  told,
  untilNothingWaits,
  untilWorkerEnds,
  untilWorking,
  workerOf,
  writeSegments,
} from '../support/worker.ts'

let fleet: Fleet
let berlin: string
const primaries: Server[] = []

beforeAll(async () => {
  fleet = await startFleet({
    environment: { PGARCH_PUSH_WORKER: 'on', PGARCH_WORKER_IDLE: '1min' },
  })
  berlin = await fleet.addPath('berlin')
})

afterEach(async () => {
  for (const primary of primaries.splice(0)) {
    if (primary.isRunning) await primary.stop('immediate')
    await untilWorkerEnds(fleet, primary)
  }
})

async function startPrimary(name: string, environment: Record<string, string> = {}) {
  const primary = await fleet.startPrimary(name, ['berlin'], { environment })
  primaries.push(primary)
  return primary
}

it('drains a backlog ahead of PostgreSQL, and clears its markers away', async () => {
  const primary = await startPrimary('backlog')
  await holdBack(primary, 40)
  await letGo(fleet, primary)
  const last = await archiveSegment(primary)
  expect(await archivedOnce(fleet, 'backlog', [berlin])).toBe(last)
  await untilWorking(fleet, primary)
  await waitFor('no marker is left', () => told(fleet, primary, 'pushed').length === 0)
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
      const pid = workerOf(fleet, primary)
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
  await untilNothingWaits(primary)
  expect(await archivedOnce(fleet, 'killed', [berlin])).toBe(last)
  expect(await archiverFailures(primary)).toBe(before)
})

describe('a server is not held up when it stops', () => {
  it.each(['fast', 'smart'] as const)(
    '%s: everything that was finished is archived',
    async (mode) => {
      const primary = await startPrimary(`stop-${mode}`)
      await archiveSegment(primary)
      await untilWorking(fleet, primary)
      await holdBack(primary, 12)
      await letGo(fleet, primary)
      await primary.stop(mode)
      expect(readyFiles(primary)).toEqual([])
      await untilWorkerEnds(fleet, primary)
    },
  )

  it('immediate: what was not archived follows after the next start', async () => {
    const primary = await startPrimary('stop-immediate')
    await archiveSegment(primary)
    await holdBack(primary, 12)
    await letGo(fleet, primary)
    await primary.stop('immediate')
    await primary.start()
    await archiveSegment(primary)
    await untilNothingWaits(primary)
    await archivedOnce(fleet, 'stop-immediate', [berlin])
  })

  it('a worker that was stopped by a signal is done without', async () => {
    const primary = await startPrimary('stopped-worker')
    await archiveSegment(primary)
    const pid = await untilWorking(fleet, primary)
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
  await untilWorking(fleet, primary)
  await fleet.admin('cluster', 'pause', 'failing', '--reason', 'moving house')
  await writeSegments(primary, 1)
  await waitFor('push says it', () => /is at pause by .*: moving house/.test(primary.log()))
  const [file = ''] = told(fleet, primary, 'failed')
  const [life = ''] = readdirSync(stateOf(fleet, primary, 'failed'))
  const reason = readFileSync(stateOf(fleet, primary, 'failed', life, file), 'utf8')
  expect(reason).toMatch(/^pgarch: ERROR: {2}archiving of cluster "failing" is at pause by/)
  const push = await fleet.pgarch(['push', `pg_wal/${file}`, file], { cwd: primary.dataDirectory })
  expect(push).toEqual({ status: 1, stdout: '', stderr: reason })
  await fleet.admin('cluster', 'start', 'failing')
  await archiveSegment(primary)
  await archivedOnce(fleet, 'failing', [berlin])
  await waitFor('no reason is left', () => told(fleet, primary, 'failed').length === 0)
})

it('a stopped cluster’s WAL is dropped by pushes that ask for themselves', async () => {
  const primary = await startPrimary('dropping')
  const kept = await archiveSegment(primary)
  await untilWorking(fleet, primary)
  await fleet.admin('cluster', 'stop', 'dropping', '--yes-lose-wal')
  const dropped = await archiveSegment(primary)
  expect(
    await fleet.rows('select wal_name from pgarch.arch_gap g where wal_name = $1', [dropped]),
  ).toEqual([{ wal_name: dropped }])
  expect(await archivedOnce(fleet, 'dropping', [berlin])).toBe(kept)
})

it('two workers are one, and none is started with push.worker off', async () => {
  const primary = await startPrimary('single')
  await archiveSegment(primary)
  const pid = await untilWorking(fleet, primary)
  const second = await fleet.pgarch(['worker', primary.dataDirectory])
  expect(second.status).toBe(0)
  expect(workerOf(fleet, primary)).toBe(pid)

  const without = await startPrimary('without', { PGARCH_PUSH_WORKER: 'off' })
  await archiveSegment(without)
  expect(existsSync(stateOf(fleet, without, 'worker.pid'))).toBe(false)
})

it('inherits no descriptor, and lives in a session of its own', async () => {
  const primary = await startPrimary('descriptors')
  await setArchiveCommand(primary, `exec 9<PG_VERSION; ${fleet.archiveSettings.archive_command}`)
  await archiveSegment(primary)
  const pid = await untilWorking(fleet, primary)
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
  expect(open.filter((file) => file.startsWith(primary.folder))).toEqual([])
  expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/')
  const session = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3]
  expect(session).not.toBe(String(primary.pid))
})

it('ends when another version of pgarch is installed, and the next push starts that', async () => {
  // Its own: workers of other tests run from the one that all share.
  const root = makeFolder(fleet.folder, 'installation')
  cpSync(join(installation().root, 'dist'), join(root, 'dist'), { recursive: true })
  installLauncher(root)
  const primary = await startPrimary('upgraded')
  await setArchiveCommand(primary, `"${join(root, 'bin', 'pgarch')}" push %p %f`)
  await archiveSegment(primary)
  const pid = await untilWorking(fleet, primary)
  const now = new Date()
  utimesSync(join(root, 'dist', 'pgarch.cjs'), now, now)
  await waitFor('it ends', () => workerOf(fleet, primary) !== pid)
  await archiveSegment(primary)
  expect(await untilWorking(fleet, primary)).not.toBe(pid)
})

/** A server on the data directory of one that had no worker, started by way of other programs; how to end it. */
async function startBy(
  programs: readonly string[],
  primary: Server,
  end: 'SIGKILL' | 'SIGQUIT',
): Promise<() => Promise<void>> {
  await primary.stop('fast')
  const postgres = [join(primary.version.bin, 'postgres'), '-D', primary.dataDirectory]
  const [program = '', ...words] = programs
  const child = spawn(program, [...words, ...postgres], {
    cwd: '/',
    env: { ...fleet.environment, PGARCH_WORKER_IDLE: '1h', LC_ALL: 'C' },
    stdio: 'ignore',
  })
  await waitFor('it accepts connections', () =>
    primary.query('select 1').then(
      () => true,
      () => false,
    ),
  )
  return async () => {
    child.kill(end)
    await waitFor('it ends', () => child.exitCode !== null || child.signalCode !== null)
  }
}

function setpriv(): string[] {
  const { uid, gid } = asUnprivileged()
  return uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
}

/** prctl(PR_SET_CHILD_SUBREAPER, 1), which an exec keeps; by the number of the system call. */
const asSubreaper = [
  'perl',
  '-e',
  `syscall(${process.arch === 'arm64' ? 167 : 157}, 36, 1, 0, 0, 0) == 0 or die; exec @ARGV or die`,
]

it.skipIf(!findProgram('perl'))('a server that adopts orphans has no worker', async () => {
  const primary = await startPrimary('subreaper', { PGARCH_PUSH_WORKER: 'off' })
  primary.configure({ logging_collector: true, log_directory: 'log', log_filename: 'reaper.log' })
  const stop = await startBy([...setpriv(), ...asSubreaper], primary, 'SIGQUIT')
  try {
    await archiveSegment(primary)
    await untilWorkerEnds(fleet, primary)
    await archiveSegment(primary)
    await untilWorkerEnds(fleet, primary)
    const log = readFileSync(join(primary.dataDirectory, 'log', 'reaper.log'), 'utf8')
    expect(log).not.toMatch(/terminating any other active server processes/)
  } finally {
    await stop()
  }
})

const canUnshare = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0
const asFirst = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']

describe.runIf(canUnshare)('a server that is process 1, as in a container', () => {
  it('has no worker, as an orphan’s death would be a crash to it', async () => {
    const primary = await startPrimary('first', { PGARCH_PUSH_WORKER: 'off' })
    primary.configure({ logging_collector: true, log_directory: 'log', log_filename: 'first.log' })
    const stop = await startBy([...asFirst, ...setpriv()], primary, 'SIGKILL')
    try {
      await archiveSegment(primary)
      expect(workerOf(fleet, primary)).toBeUndefined()

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
