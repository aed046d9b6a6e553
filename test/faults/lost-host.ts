import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { parseLsn } from '../../src/wal/lsn.ts'
import { waitFor } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'
import { childrenOf, kill, processesIn } from '../support/processes.ts'
import type { RunningShipper } from '../support/shipper.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

/** A transaction of which the server said that it is committed. */
export interface Acknowledged {
  readonly id: string
  /** By performance.now(). */
  readonly time: number
  /** How far the server had flushed afterwards. */
  readonly flushed: bigint
}

/** Clients that commit one transaction after another, and note each that is acknowledged. */
export interface Writers {
  start(): void
  /** Resolves once there are so many. */
  acknowledged(count: number): Promise<void>
  /** Resolves when the server is gone, for all of them. */
  ended(): Promise<void>
  all(): readonly Acknowledged[]
  /** Ids of those that another server has. */
  found(server: Server): Promise<Set<string>>
}

const clients = 3

/** Beside them pgbench runs, so that there is other WAL. */
export async function write(primary: Server): Promise<Writers> {
  await primary.query('create table noted (id text primary key)')
  await run(primary, ['-i', '-q', '-s', '1'])
  const noted: Acknowledged[] = []
  let running: Promise<unknown>[] = []
  return {
    start() {
      const bench = startBench(primary, ['-n', '-c', '2', '-T', '600'])
      const ids = Array.from({ length: clients }, (_, index) => index)
      running = [once(bench, 'close'), ...ids.map((index) => commit(primary, index, noted))]
    },
    acknowledged: (count) => waitFor('enough was written', () => noted.length >= count),
    async ended() {
      await Promise.all(running)
    },
    all: () => noted,
    async found(server) {
      const rows = await server.query<{ id: string }>('select id from noted')
      return new Set(rows.map(({ id }) => id))
    },
  }
}

async function commit(primary: Server, writer: number, noted: Acknowledged[]): Promise<void> {
  const { socketDirectory: host, port } = primary
  const client = new Client({ host, port, user: 'postgres', database: 'postgres' })
  client.on('error', () => {})
  try {
    await client.connect()
    for (let number = 0; ; number++) {
      const id = `${writer}-${number}`
      await client.query('insert into noted values ($1)', [id])
      const time = performance.now()
      const { rows } = await client.query('select pg_current_wal_flush_lsn()::text as lsn')
      noted.push({ id, time, flushed: parseLsn(rows[0].lsn) ?? 0n })
    }
  } catch {
    // The server is gone.
  } finally {
    await client.end().catch(() => {})
  }
}

function startBench(primary: Server, words: readonly string[]): ChildProcess {
  const { socketDirectory, port } = primary
  const to = ['-h', socketDirectory, '-p', String(port), '-U', 'postgres', 'postgres']
  const program = join(primary.version.bin, 'pgbench')
  return spawn(program, [...words, ...to], { stdio: 'ignore', ...asUnprivileged() })
}

async function run(primary: Server, words: readonly string[]): Promise<void> {
  const [status] = await once(startBench(primary, words), 'close')
  if (status !== 0) throw new Error(`pgbench ${words.join(' ')}: ${status}`)
}

/** A server's processes, to be killed at once: to find them takes a while, in which no writer writes. */
export function hostOf(primary: Server): { lose(shipper?: RunningShipper): number } {
  const postmaster = primary.pid
  if (postmaster === undefined) throw new Error('the server does not run')
  const processes = [postmaster, ...childrenOf(postmaster)]
  return {
    /** Kills the shipper too, if there is one. Returns when that was, by performance.now(). */
    lose(shipper) {
      const end = performance.now()
      for (const pid of processes) kill(pid)
      shipper?.kill('SIGKILL')
      // A push that was on its way.
      for (const pid of processesIn(primary.dataDirectory)) kill(pid)
      return end
    },
  }
}

/** Takes its WAL away; by its pg_control the tests know whose files are on a path. */
export function takeDisk({ dataDirectory }: Server): void {
  renameSync(join(dataDirectory, 'pg_wal'), `${dataDirectory}.gone`)
}
