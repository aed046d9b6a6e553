import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import type { Server, ServerOptions } from '../support/postgres.ts'
import {
  notingNode,
  prefetcherOf,
  readyFiles,
  readySegments,
  takenReady,
  untilNothingLies,
} from '../support/prefetch.ts'
import { startRestored, takeBackup, timelineOf, untilPrimary } from '../support/restored.ts'
import { startSshd } from '../support/sshd.ts'
import { processRuns, untilNothingWaits, workerLog, writeSegments } from '../support/worker.ts'

let fleet: Fleet
const servers: Server[] = []

beforeAll(async () => {
  fleet = await startFleet({
    environment: { PGARCH_FETCH_PREFETCH: '8', PGARCH_PUSH_WORKER: 'on' },
  })
  await fleet.addPath('berlin', { sshd: await startSshd({ folder: fleet.folder }) })
})

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (server.isRunning) await server.stop('immediate')
    await untilNothingLies(fleet, server)
  }
})

/** With an empty table in its backup, and so many segments behind that. */
async function startArchived(name: string, segments: number) {
  const primary = await fleet.startPrimary(name, ['berlin'])
  await primary.query('create table numbers (n bigint)')
  const backup = await takeBackup(fleet, primary, `${name}-backup`)
  await fill(primary, segments)
  return { primary, backup }
}

/** Numbers that no other server has, in each segment, and a restore point in the second of them. */
async function fill(primary: Server, segments: number): Promise<void> {
  for (let n = 0; n < segments; n++) {
    await primary.query(
      'insert into numbers select (random() * 1e15)::bigint from generate_series(1, 100)',
    )
    await writeSegments(primary, 1)
    if (n === 0) await primary.query("select pg_create_restore_point('early')")
  }
  await archiveSegment(primary)
  await untilNothingWaits(primary)
}

async function contentOf(server: Server): Promise<string | undefined> {
  const [row] = await server.query<{ content: string }>(
    "select count(*) || ' ' || md5(string_agg(n::text, ' ' order by n)) as content from numbers",
  )
  return row?.content
}

/** A backup in archive recovery. */
async function restoreAt(
  data: string,
  backup: string,
  options: ServerOptions = {},
): Promise<Server> {
  execFileSync('cp', ['-a', backup, data])
  const server = await startRestored(fleet, data, 'recovery', { wait: false, ...options })
  servers.push(server)
  return server
}

function newPlace(): string {
  return join(makeFolder(fleet.folder, `place-${randomUUID()}`), 'data')
}

/** Each segment that lies not ready costs a start of Node.js, which a busy machine takes seconds for. */
async function untilPromoted(server: Server): Promise<void> {
  const answers = () => server.log().includes('ready to accept connections')
  await waitFor('it answers', answers, 240_000)
  await untilPrimary(server)
}

it('along a timeline switch recovery gets every segment right', async () => {
  const { primary, backup } = await startArchived('line', 8)
  const before = await contentOf(primary)
  await primary.stop('fast')
  const second = await restoreAt(newPlace(), backup, { settings: fleet.archiveSettings })
  await untilPromoted(second)
  expect(await contentOf(second)).toBe(before)
  const { dataDirectory } = second
  await fleet.admin('register', '--member', '--pgdata', dataDirectory, '--pguser', 'postgres')
  await fill(second, 20)
  const content = await contentOf(second)
  await second.stop('fast')

  const node = notingNode(fleet.folder)
  const third = await restoreAt(newPlace(), backup, { environment: { PGARCH_NODE: node.program } })
  await untilPromoted(third)
  expect(await timelineOf(third)).toBe(3)
  expect(await contentOf(third)).toBe(content)
  const taken = takenReady(third, node)
  expect(taken.filter((name) => name.startsWith('00000002')).length).toBeGreaterThan(10)
  expect(third.log()).not.toContain('pgarch: ')
  expect(workerLog(fleet, third)).toBe('')
})

it('nothing of a former life is delivered: a crash of the machine, an older backup, another cluster in its place', async () => {
  const { primary, backup } = await startArchived('one', 12)
  const { primary: otherPrimary, backup: otherBackup } = await startArchived('two', 12)
  const data = newPlace()
  const early = { recovery_target_name: 'early', recovery_target_action: 'pause' }

  const first = await restoreAt(data, backup, { settings: early })
  const planted = await crash(first)
  expect(existsSync(join(data, 'postmaster.pid'))).toBe(true)
  await first.start({ wait: false })
  await waitFor('only its own lie there', () => !planted.some((file) => existsSync(file)))
  await crash(first)
  rmSync(data, { recursive: true })

  const again = await restoreAt(data, backup)
  await untilPromoted(again)
  expect(await contentOf(again)).toBe(await contentOf(primary))
  await again.stop('immediate')
  await untilNothingLies(fleet, again)
  rmSync(data, { recursive: true })

  await crash(await restoreAt(data, backup, { settings: early }))
  rmSync(data, { recursive: true })
  const other = await restoreAt(data, otherBackup)
  await untilPromoted(other)
  expect(await contentOf(other)).toBe(await contentOf(otherPrimary))
})

/**
 * The machine crashes in mid-recovery; resolves to what lay ready, which is spoilt besides, as none of it
 * may ever be looked at again.
 */
async function crash(server: Server): Promise<string[]> {
  await waitFor('it is ahead', () => readySegments(fleet, server).length === 8)
  const processes = [prefetcherOf(fleet, server) ?? 0, ...childrenOf(server.pid ?? 0)]
  server.kill('SIGKILL')
  for (const pid of processes) if (processRuns(pid)) process.kill(pid, 'SIGKILL')
  await server.ended()
  await waitFor('all is dead', () => !processes.some(processRuns))
  const files = readyFiles(fleet, server)
  // Until it was dead, recovery went on.
  expect(files.length).toBeGreaterThan(4)
  const incoming = join(dirname(files[0] ?? ''), 'incoming', 'half')
  writeFileSync(incoming, 'half')
  for (const file of files) {
    writeFileSync(file, readFileSync(file).fill(7, 100))
  }
  return [...files, incoming]
}

function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nPPid:\t${parent}\n`)
    } catch {
      return false
    }
  })
}

it('the worker is killed again and again: recovery gets each of a hundred segments right', async () => {
  const { primary, backup } = await startArchived('killed', 100)
  const node = notingNode(fleet.folder)
  const server = await restoreAt(newPlace(), backup, { environment: { PGARCH_NODE: node.program } })
  let kills = 0
  let promoted = false
  const killing = (async () => {
    for (; !promoted; await sleep(10)) {
      const pid = prefetcherOf(fleet, server)
      if (pid === undefined) continue
      // Every other one not before it has been of use.
      const isUseful = () => readySegments(fleet, server).length > 0
      await waitFor('it is time', () => kills % 2 === 0 || isUseful() || !processRuns(pid))
      await sleep(Math.random() * 200)
      if (!processRuns(pid)) continue
      process.kill(pid, 'SIGKILL')
      kills++
    }
  })()
  await untilPromoted(server).finally(() => {
    promoted = true
  })
  await killing
  expect(await contentOf(server)).toBe(await contentOf(primary))
  expect(kills).toBeGreaterThan(3)
  expect(takenReady(server, node).length).toBeGreaterThan(10)
  expect(server.log()).not.toContain('pgarch: ')
  expect(workerLog(fleet, server)).not.toContain('pgarch: ') // "Killed", a shell says
  // The last one may have been killed behind its end, with nobody to come after it.
  await server.stop('immediate')
  servers.length = 0
  await waitFor('none is there', () => prefetcherOf(fleet, server) === undefined)
})
