import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type Fleet, waitFor } from './fleet.ts'
import type { Server } from './postgres.ts'
import { fingerprintOf } from './rows.ts'

/** In the state directory of a server's data directory. */
export function stateOf(fleet: Fleet, server: Server, ...below: string[]): string {
  return join(fleet.environment.PGARCH_STATE_DIR ?? '', server.dataDirectory, '@pgarch', ...below)
}

/** The pid of a server's worker that is there, zombies not counted. */
export function workerOf(fleet: Fleet, server: Server): number | undefined {
  try {
    const pid = Number(readFileSync(stateOf(fleet, server, 'worker.pid'), 'utf8'))
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return command.includes('worker') && stateOfProcess(pid) !== 'Z' ? pid : undefined
  } catch {
    return undefined
  }
}

/** As in /proc/PID/stat (proc(5)): S, Z, T. */
export function stateOfProcess(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return undefined
  }
}

/** Zombies count. */
export function processRuns(pid: number): boolean {
  return stateOfProcess(pid) !== undefined
}

export async function untilWorking(fleet: Fleet, server: Server): Promise<number> {
  await waitFor('a worker is there', () => workerOf(fleet, server) !== undefined)
  return workerOf(fleet, server) ?? 0
}

export async function untilWorkerEnds(fleet: Fleet, server: Server): Promise<void> {
  await waitFor('its worker ends', () => workerOf(fleet, server) === undefined)
}

/** What the worker of the server's life tells the launcher: files that are pushed, or failed. */
export function told(fleet: Fleet, server: Server, what: 'pushed' | 'failed'): string[] {
  const folder = stateOf(fleet, server, what)
  return readdirSync(folder).flatMap((life) => readdirSync(join(folder, life)))
}

/** What the worker said. */
export function workerLog(fleet: Fleet, server: Server): string {
  return readFileSync(stateOf(fleet, server, 'worker.log'), 'utf8')
}

/** Finishes segments while archiving is held up, so that there is a backlog. */
export async function holdBack(server: Server, segments: number): Promise<void> {
  await setArchiveCommand(server, 'false')
  await writeSegments(server, segments)
}

export async function letGo(fleet: Fleet, server: Server): Promise<void> {
  await setArchiveCommand(server, fleet.archiveSettings.archive_command ?? '')
}

export async function setArchiveCommand(server: Server, command: string): Promise<void> {
  server.configure({ archive_command: command })
  await server.query('select pg_reload_conf()')
}

export async function writeSegments(server: Server, segments: number): Promise<void> {
  await server.query('create table if not exists filler (n int)')
  for (let done = 0; done < segments; done++) {
    await server.query('insert into filler select generate_series(1, 100); select pg_switch_wal()')
  }
}

export function readyFiles(server: Server): string[] {
  const folder = join(server.dataDirectory, 'pg_wal', 'archive_status')
  return readdirSync(folder).filter((name) => name.endsWith('.ready'))
}

export async function untilNothingWaits(server: Server): Promise<void> {
  await waitFor('nothing waits', () => readyFiles(server).length === 0)
}

/**
 * Every segment of the cluster is recorded once, in one copy, and without a gap between them, and lies
 * below these roots; resolves to the last.
 */
export async function archivedOnce(
  fleet: Fleet,
  cluster: string,
  roots: readonly string[],
): Promise<string | undefined> {
  const fingerprint = await fingerprintOf(fleet, cluster)
  const rows = await fleet.rows<{ wal_name: string; copies: number }>(
    `select f.wal_name, (select count(*)::int from pgarch.arch_copy c
                         where c.db_id = f.db_id and c.wal_name = f.wal_name) as copies
     from pgarch.arch_file f where f.db_id = $1 order by 1`,
    [fingerprint],
  )
  expect(rows.filter(({ copies }) => copies !== 1)).toEqual([])
  const folders = roots.map((root) => join(root, fingerprint, '0000000100000000'))
  const stored = folders.flatMap((folder) => readdirSync(folder))
  const names = new Set(stored.filter((file) => file.endsWith('.zst')))
  expect([...names].sort()).toEqual(rows.map(({ wal_name }) => `${wal_name}.zst`))
  const numbers = rows.map(({ wal_name }) => Number.parseInt(wal_name.slice(16), 16))
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
  return rows.at(-1)?.wal_name
}

export async function archiverFailures(server: Server): Promise<number> {
  const [row] = await server.query<{ failed: number }>(
    'select failed_count::int as failed from pg_stat_archiver',
  )
  return row?.failed ?? -1
}
