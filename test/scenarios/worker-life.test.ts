import { spawn } from 'node:child_process'
import { existsSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, it, onTestFinished } from 'vitest'
import {
  archiveSegment,
  type Fleet,
  type PrimaryOptions,
  startFleet,
  untilArchived,
  waitFor,
} from '../support/fleet.ts'
import { ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import type { Server } from '../support/postgres.ts'
import { startRestored, takeBackup } from '../support/restored.ts'
import { conflictsOf, copiesOf, filesOf, triesOf } from '../support/rows.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import {
  archivedOnce,
  holdBack,
  letGo,
  processRuns,
  readyFiles,
  setArchiveCommand,
  stateOf,
  stateOfProcess,
  told,
  untilNothingWaits,
  untilWorkerEnds,
  untilWorking,
  workerLog,
  workerOf,
  writeSegments,
} from '../support/worker.ts'

let fleet: Fleet
let berlin: string
const servers: Server[] = []

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_PUSH_WORKER: 'on' } })
  berlin = await fleet.addPath('berlin')
})

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (server.isRunning) await server.stop('immediate')
    await untilWorkerEnds(fleet, server)
  }
})

async function startPrimary(name: string, options: PrimaryOptions = {}): Promise<Server> {
  const primary = await fleet.startPrimary(name, ['berlin'], options)
  servers.push(primary)
  return primary
}

async function hostStatus(server: Server) {
  const { stdout } = await fleet.pgarch(['status', '--host', '--json'])
  const all = JSON.parse(stdout) as { dataDirectory: string; worker: unknown }[]
  return all.find(({ dataDirectory }) => dataDirectory === server.dataDirectory)?.worker
}

it('ends when it is idle, and the next push starts another', async () => {
  const primary = await startPrimary('idle', { environment: { PGARCH_WORKER_IDLE: '2s' } })
  expect(await hostStatus(primary)).toEqual({ absence: 'idle: the next push starts it' })
  await archiveSegment(primary)
  const first = await untilWorking(fleet, primary)
  const { mtime } = statSync(stateOf(fleet, primary, 'worker.pid'))
  expect(await hostStatus(primary)).toEqual({ pid: first, since: mtime.toISOString() })
  await waitFor('it ends', () => !processRuns(first))
  expect(existsSync(stateOf(fleet, primary, 'worker.pid'))).toBe(false)
  await archiveSegment(primary)
  expect(await untilWorking(fleet, primary)).not.toBe(first)
})

it('says nothing while all is well, neither in the server’s log nor in its own', async () => {
  const primary = await startPrimary('quiet')
  await archiveSegment(primary)
  await untilWorking(fleet, primary)
  await holdBack(primary, 8)
  await letGo(fleet, primary)
  await archiveSegment(primary)
  await untilNothingWaits(primary)
  expect(workerLog(fleet, primary)).toBe('')
  expect(primary.log()).not.toContain('pgarch: ')
})

it('ends when the postmaster is killed', async () => {
  const primary = await startPrimary('killed')
  await archiveSegment(primary)
  const worker = await untilWorking(fleet, primary)
  primary.kill('SIGKILL')
  await primary.ended()
  await waitFor('it ends', () => !processRuns(worker))
  expect(await hostStatus(primary)).toEqual({ absence: 'the server does not run' })
})

it('ends when the data directory is gone', async () => {
  const primary = await startPrimary('gone')
  await archiveSegment(primary)
  const worker = await untilWorking(fleet, primary)
  const away = `${primary.dataDirectory}.away`
  renameSync(primary.dataDirectory, away)
  try {
    await waitFor('it ends', () => !processRuns(worker))
  } finally {
    renameSync(away, primary.dataDirectory)
  }
})

it('ends when the membership is another one', async () => {
  const primary = await startPrimary('renewed')
  await archiveSegment(primary)
  const worker = await untilWorking(fleet, primary)
  const now = new Date()
  utimesSync(stateOf(fleet, primary, 'member.json'), now, now)
  await waitFor('it ends', () => !processRuns(worker))
  await archiveSegment(primary)
  await archivedOnce(fleet, 'renewed', [berlin])
})

it('killed, and left as a zombie by a parent that does not wait: the next one takes its place', async () => {
  const primary = await startPrimary('zombie')
  const node = process.execPath
  const program = join(installation().root, 'dist', 'pgarch.cjs')
  const words = `"${node}" "${program}" worker "${primary.dataDirectory}"`
  const parent = spawn('sh', ['-c', `${words} & exec sleep 600`], {
    cwd: '/',
    env: fleet.environment,
    stdio: 'ignore',
    ...asUnprivileged(),
  })
  onTestFinished(() => void parent.kill('SIGKILL'))
  const zombie = await untilWorking(fleet, primary)
  process.kill(zombie, 'SIGKILL')
  await waitFor('it is a zombie', () => stateOfProcess(zombie) === 'Z')
  await archiveSegment(primary)
  expect(await untilWorking(fleet, primary)).not.toBe(zombie)
  expect(stateOfProcess(zombie)).toBe('Z')
  await writeSegments(primary, 3)
  await untilNothingWaits(primary)
  await archivedOnce(fleet, 'zombie', [berlin])
})

it('ends with 0 or 1, whatever is wrong, below a shell that ends with 0', async () => {
  const primary = await startPrimary('statuses')
  await archiveSegment(primary)
  const worker = await untilWorking(fleet, primary)
  const shell = readFileSync(`/proc/${worker}/status`, 'utf8').match(/^PPid:\t(\d+)$/m)?.[1]
  expect(readFileSync(`/proc/${shell}/cmdline`, 'utf8').split('\0').slice(0, 3)).toEqual([
    '/bin/sh',
    '-c',
    '"$@"; exit 0',
  ])
  const run = async (directory: string, environment: Record<string, string> = {}) =>
    (await fleet.pgarch(['worker', directory], { environment })).status
  expect(await run(primary.dataDirectory)).toBe(0)
  expect(await run(fleet.folder)).toBe(1)
  expect(await run('/nowhere')).toBe(1)
  expect(await run(primary.dataDirectory, { PGARCH_PUSH_PARALLEL: 'many' })).toBe(1)
  await primary.stop('fast')
  await untilWorkerEnds(fleet, primary)
  expect(await run(primary.dataDirectory)).toBe(0)
})

it('push --config, a relative file: the worker reads it too, and what it archived is not read back', async () => {
  const primary = await startPrimary('configured', { environment: { PGARCH_SCHEDULE_URL: '' } })
  const file = join(primary.folder, 'own.toml')
  writeFileSync(file, `[schedule]\nurl = "${fleet.environment.PGARCH_SCHEDULE_URL}"\n`)
  ownByUnprivileged(file)
  await holdBack(primary, 6)
  const command = `"${installation().pgarch}" push --config ../own.toml %p %f`
  await setArchiveCommand(primary, command)
  await untilWorking(fleet, primary)
  await holdBack(primary, 6)
  const ahead = () => told(fleet, primary, 'pushed').length === readyFiles(primary).length
  await waitFor('it is ahead', ahead)
  const before = primary.log().length
  await setArchiveCommand(primary, command)
  await untilNothingWaits(primary)
  await archivedOnce(fleet, 'configured', [berlin])
  // But for the one that the first push and the worker it started may both have taken.
  const said = primary.log().slice(before)
  expect(said.split('already archived').length).toBeLessThanOrEqual(2)
  const now = new Date()
  const worker = workerOf(fleet, primary) ?? 0
  utimesSync(file, now, now)
  await waitFor('it ends when the file is changed', () => !processRuns(worker))
})

it('archive_mode=always: a standby’s worker and the primary’s archive the same files, in peace', async () => {
  const primary = await startPrimary('pair')
  await archiveSegment(primary)
  const backup = await takeBackup(fleet, primary, 'pair-backup', { includeWal: true })
  await writeSegments(primary, 6)
  const last = await archiveSegment(primary)
  await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
  const standby = await startRestored(fleet, backup, 'standby', {
    settings: {
      ...fleet.archiveSettings,
      archive_mode: 'always',
      primary_conninfo: primary.url(),
    },
  })
  servers.push(standby)
  await untilArchived(standby, last)
  const own = await untilWorking(fleet, standby)
  expect(own).not.toBe(await untilWorking(fleet, primary))
  await writeSegments(primary, 6)
  const later = await archiveSegment(primary)
  await untilArchived(standby, later)
  expect((await triesOf(fleet, 'pair')).filter(({ stored }) => !stored)).toEqual([])
  expect(await conflictsOf(fleet, 'pair')).toEqual([])
  const files = await filesOf(fleet, 'pair')
  expect(await copiesOf(fleet, 'pair')).toEqual(files.map(({ file }) => ({ file, path: 'berlin' })))
  expect(standby.log()).not.toContain('archive command failed')
})
