import { readdirSync, renameSync, watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CpuTimes, cpuSince, cpuTimes, type Groups } from './measure.ts'
import { type Initialised, initialiseServer, postgresProgram, run, type Server } from './servers.ts'

/** What archives, as PostgreSQL calls it. */
export interface Contender {
  readonly name: string
  readonly command: string
  /** Leaves its archive empty, and nothing of it running. */
  clear(): Promise<void>
  /** Its processes, beside those that the archiver starts and waits for. */
  readonly groups: Groups
  /** Looks at what runs, after a drain. */
  inspect?(): void
}

export interface Drained {
  readonly segmentsPerSecond: number
  /** Milliseconds a segment, by group of processes. */
  readonly cpu: CpuTimes
}

/** A server that keeps every segment that it ever wrote, and archives when, and with what, it is told. */
export function initialiseProduction(folder: string): Promise<Initialised> {
  const settings = {
    archive_mode: 'on',
    archive_command: 'false',
    wal_keep_size: '1TB',
    max_wal_size: '1TB',
    checkpoint_timeout: '1d',
    shared_buffers: '256MB',
    autovacuum: 'off',
    fsync: 'off',
  }
  return initialiseServer(folder, 'production', settings)
}

/** Full segments, of what pgbench writes; resolves to their names once they are held. */
export async function holdSegments(server: Server, count: number): Promise<string[]> {
  const connection = [
    '-h',
    server.socketDirectory,
    '-p',
    String(server.port),
    '-U',
    'postgres',
    'postgres',
  ]
  run(postgresProgram('pgbench'), ['-i', '-q', '-s', '20', ...connection])
  while (statusFiles(server, '.ready').length < count) {
    await server.query('checkpoint') // as often as in life, for full-page images
    run(postgresProgram('pgbench'), [
      '-n',
      '-c',
      '4',
      '-t',
      '5000',
      '-M',
      'prepared',
      ...connection,
    ])
  }
  await server.query('checkpoint; select pg_switch_wal()')
  await sleep(1000)
  return statusFiles(server, '.ready').slice(0, count)
}

/**
 * How fast the archiver gets through segments that are held. They are the same each time: PostgreSQL's
 * note that they are archived is taken back.
 */
export async function drain(
  server: Server,
  contender: Contender,
  segments: readonly string[],
): Promise<Drained> {
  await server.configure({ archive_command: '' })
  await contender.clear()
  await makeReady(server, segments)
  run('sync', [])
  const groups = { server: () => server.pid, ...contender.groups }
  const done = archived(server, segments)
  const before = cpuTimes(groups)
  const start = performance.now()
  await server.configure({ archive_command: contender.command })
  await done
  const seconds = (performance.now() - start) / 1000
  const used = cpuSince(before, cpuTimes(groups))
  contender.inspect?.()
  await server.configure({ archive_command: '' })
  await contender.clear()
  return {
    segmentsPerSecond: segments.length / seconds,
    cpu: Object.fromEntries(
      Object.entries(used).map(([name, time]) => [name, time / segments.length]),
    ),
  }
}

/** Has the segments archived, as if they never had been before. */
export async function archive(
  server: Server,
  command: string,
  segments: readonly string[],
): Promise<void> {
  await server.configure({ archive_command: '' })
  await makeReady(server, segments)
  const done = archived(server, segments)
  await server.configure({ archive_command: command })
  await done
  await server.configure({ archive_command: '' })
}

/**
 * Nothing but the segments is to be archived, once a command is set: none holds WAL as `false` does, but
 * for the second that the archiver waits after a failure.
 */
async function makeReady(server: Server, segments: readonly string[]): Promise<void> {
  for (const file of statusFiles(server, '.ready')) setStatus(server, file, '.ready', '.done')
  await sleep(200)
  for (const segment of segments) setStatus(server, segment, '.done', '.ready')
}

/** Resolves when PostgreSQL has noted all of them as archived. */
export async function archived(server: Server, segments: readonly string[]): Promise<void> {
  const missing = new Set(segments.map((segment) => `${segment}.done`))
  const { promise, resolve } = Promise.withResolvers<void>()
  const watcher = watch(statusDirectory(server), (_event, file) => {
    if (file !== null && missing.delete(file) && missing.size === 0) resolve()
  })
  try {
    await promise
  } finally {
    watcher.close()
  }
}

export function statusFiles(server: Server, suffix: string): string[] {
  return readdirSync(statusDirectory(server))
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort()
}

function setStatus(server: Server, segment: string, from: string, to: string): void {
  const file = join(statusDirectory(server), segment)
  renameSync(file + from, file + to)
}

export function statusDirectory(server: Server): string {
  return join(server.dataDirectory, 'pg_wal', 'archive_status')
}
