import { cpSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, it, onTestFinished } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { startLine } from '../support/line.ts'
import { type Host, startHost } from '../support/local-archive-host.ts'
import type { Server } from '../support/postgres.ts'
import { copiesOf, triesOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  archivedOnce,
  archiverFailures,
  holdBack,
  letGo,
  processRuns,
  stateOf,
  told,
  untilNothingWaits,
  untilWorkerEnds,
  untilWorking,
  workerLog,
  workerOf,
  writeSegments,
} from '../support/worker.ts'

// What failed rests for half a minute: a path that is to be used again is waited for.

let fleet: Fleet
let sshd: Sshd
const roots: Record<string, string> = {}
const servers: Server[] = []

beforeAll(async () => {
  fleet = await startFleet({
    environment: { PGARCH_PUSH_WORKER: 'on', PGARCH_SCHEDULE_TIMEOUT: '1s' },
  })
  sshd = await startSshd({ folder: fleet.folder })
  roots.remote = await fleet.addPath('remote', { sshd })
  roots.near = await fleet.addPath('near')
})

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (server.isRunning) await server.stop('immediate')
    await untilWorkerEnds(fleet, server)
  }
})

async function startPrimary(
  name: string,
  paths: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ primary: Server; worker: number }> {
  const primary = await fleet.startPrimary(name, paths, { environment })
  servers.push(primary)
  await archiveSegment(primary)
  return { primary, worker: await untilWorking(fleet, primary) }
}

async function pathOf(cluster: string, walName: string): Promise<string | undefined> {
  const copies = await copiesOf(fleet, cluster)
  return copies.find(({ file }) => file === walName)?.path
}

const journal = (server: Server) =>
  readdirSync(stateOf(fleet, server, 'journal'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.json'),
  )

it('a path dies with a backlog before it: the next takes over, and in time it is used again', async () => {
  const { primary, worker } = await startPrimary('takeover', ['remote', 'near'])
  await holdBack(primary, 16)
  await letGo(fleet, primary)
  await waitFor('it is half done', async () => (await copiesOf(fleet, 'takeover')).length > 4)
  onTestFinished(() => sshd.restart())
  sshd.kill()
  await writeSegments(primary, 4)
  expect(await pathOf('takeover', await archiveSegment(primary))).toBe('near')
  await untilNothingWaits(primary)

  await sshd.restart()
  await waitFor('it is used again', async () => {
    return (await pathOf('takeover', await archiveSegment(primary))) === 'remote'
  })
  await archivedOnce(fleet, 'takeover', [roots.remote ?? '', roots.near ?? ''])
  expect(workerOf(fleet, primary)).toBe(worker)
})

it('the server of the only path restarts between two files: nobody notices', async () => {
  const { primary, worker } = await startPrimary('reconnecting', ['remote'])
  await archiveSegment(primary) // by the worker, which keeps the connection for ten seconds
  const before = await archiverFailures(primary)
  await sshd.restart()
  await archiveSegment(primary)
  expect((await triesOf(fleet, 'reconnecting')).filter(({ stored }) => !stored)).toEqual([])
  expect(await archiverFailures(primary)).toBe(before)
  expect(workerLog(fleet, primary)).toBe('')
  expect(workerOf(fleet, primary)).toBe(worker)
})

it('the path’s server shows another host key, and later its own: the worker goes on by itself', async () => {
  const other = await startSshd({ folder: fleet.folder })
  onTestFinished(() => other.stop())
  const root = await fleet.addPath('locked', { sshd: other })
  const { primary } = await startPrimary('locked', ['locked'])
  const keys = join(fleet.folder, `sshd-${other.host}-${other.port}`)
  const files = ['host_key', 'host_key.pub']
  for (const file of files) cpSync(join(keys, file), join(keys, `${file}.own`))
  await other.restart({ newHostKey: true })
  const waiting = await endSegment(primary)
  await waitFor('it fails', () => told(fleet, primary, 'failed').includes(waiting))
  const refusals = () => workerLog(fleet, primary).match(/the host key has changed/g) ?? []
  await waitFor('it fails again', () => refusals().length > 2)
  for (const file of files) renameSync(join(keys, `${file}.own`), join(keys, file))
  await other.restart()
  await waitFor('it is archived', async () => (await pathOf('locked', waiting)) !== undefined)
  await wakeArchiver(primary)
  await untilNothingWaits(primary)
  expect(await archivedOnce(fleet, 'locked', [root])).toBe(waiting)
})

it('the scheduling database stops under load and comes back: all is recorded, once, in few calls', async () => {
  const { primary, worker } = await startPrimary('unrecorded', ['near'])
  await holdBack(primary, 24)
  onTestFinished(async () => {
    if (!fleet.schedule.isRunning) await fleet.schedule.start()
  })
  await letGo(fleet, primary)
  await fleet.schedule.stop('fast')
  await writeSegments(primary, 6)
  await untilNothingWaits(primary)
  const waiting = journal(primary).map((file) => {
    const entry = readFileSync(stateOf(fleet, primary, 'journal', file), 'utf8')
    return JSON.parse(entry).claim.walName as string
  })
  expect(waiting.length).toBeGreaterThanOrEqual(6)

  await fleet.schedule.start()
  await waitFor('the journal is delivered', async () => {
    await archiveSegment(primary)
    return journal(primary).length === 0
  })
  await untilNothingWaits(primary)
  await archivedOnce(fleet, 'unrecorded', [roots.near ?? ''])
  const [calls] = await fleet.rows<{ files: number; transactions: number }>(
    `select count(*)::int as files, count(distinct c.xmin::text)::int as transactions
     from pgarch.arch_copy c
     join pgarch.arch_db_info d on d.id = c.db_id and d.name = 'unrecorded'
     where c.wal_name = any ($1)`,
    [waiting],
  )
  expect(calls?.files).toBe(waiting.length)
  expect(calls?.transactions).toBeLessThan(waiting.length / 2)
  expect(workerOf(fleet, primary)).toBe(worker)
})

it('without a path, the worker fills the local archive, and it drains it when there is one', async () => {
  const host: Host = await startHost(fleet, 'sheltered')
  servers.push(host.primary)
  const worker = await untilWorking(fleet, host.primary)
  await host.unplug()
  await holdBack(host.primary, 6)
  await letGo(fleet, host.primary)
  await untilNothingWaits(host.primary)
  expect((await host.listed()).length).toBe(6)
  expect(workerLog(fleet, host.primary)).toContain('is archived on this host alone')
  expect(host.primary.log()).toContain('is archived on this host alone')

  await host.plugIn()
  await waitFor('it is drained', async () => {
    await archiveSegment(host.primary)
    return (await host.listed()).length === 0
  })
  await archivedOnce(fleet, 'sheltered', [host.pathRoot])
  expect(workerOf(fleet, host.primary)).toBe(worker)
})

it('a changed route and a switch count from the next file on', async () => {
  await fleet.addPath('later')
  const { primary, worker } = await startPrimary('steered', ['near', 'later'])
  expect(await pathOf('steered', await archiveSegment(primary))).toBe('near')
  await fleet.admin('route', 'set', 'steered', 'later', '--priority', '200')
  expect(await pathOf('steered', await archiveSegment(primary))).toBe('later')

  await fleet.admin('cluster', 'pause', 'steered')
  const held = await endSegment(primary)
  await waitFor('it is refused', () => told(fleet, primary, 'failed').includes(held))
  expect(await pathOf('steered', held)).toBeUndefined()
  await fleet.admin('cluster', 'start', 'steered')
  await waitFor('it is archived', async () => (await pathOf('steered', held)) === 'later')
  await wakeArchiver(primary)
  await untilNothingWaits(primary)
  expect(workerOf(fleet, primary)).toBe(worker)
})

it('one transfer hangs: it holds up no other file, no stop, and no next worker', async () => {
  const line = await startLine(sshd)
  onTestFinished(() => line.close())
  const way = { ...sshd, host: line.host, port: line.port }
  const root = await fleet.addPath('hanging', { sshd: way })
  const patient = { PGARCH_STALL_TIMEOUT: '1h', PGARCH_TRANSFER_TIMEOUT: '1h' }
  const { primary, worker } = await startPrimary('hanging', ['hanging'], patient)
  onTestFinished(() => {
    if (processRuns(worker)) process.kill(worker, 'SIGKILL')
  })
  await holdBack(primary, 12)
  const held = line.holdAfter(20_000)
  await letGo(fleet, primary)
  await held
  const last = await archiveSegment(primary)
  await untilNothingWaits(primary)
  expect(await archivedOnce(fleet, 'hanging', [root])).toBe(last)

  await primary.stop('fast')
  await waitFor('the worker gives its place up', () => workerOf(fleet, primary) === undefined)
  expect(processRuns(worker)).toBe(true)
  await primary.start()
  await archiveSegment(primary)
  expect(await untilWorking(fleet, primary)).not.toBe(worker)
})
