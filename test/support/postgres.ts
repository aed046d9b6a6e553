import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll } from 'vitest'
import { makeFolder, ownByUnprivileged, temporaryFolder } from './folder.ts'
import { defaultVersion, type ServerVersion } from './postgres-versions.ts'
import { asUnprivileged } from './unprivileged.ts'

export { type ServerVersion, serverVersions } from './postgres-versions.ts'

export type Settings = Readonly<Record<string, string | number | boolean>>

export interface ServerOptions {
  readonly version?: ServerVersion
  /**
   * An existing folder of the unprivileged user's, for data directory, log and socket; a short path,
   * as sockets allow 107 bytes. Without it the harness makes one and removes it in the end.
   */
  readonly folder?: string
  /** Lines of postgresql.conf, after the harness's own. */
  readonly settings?: Settings
  /** Added to the server's environment, which has PATH and LC_ALL and nothing else. */
  readonly environment?: Readonly<Record<string, string>>
  /** false: do not wait until it accepts connections (it may be waiting for WAL). */
  readonly wait?: boolean
}

export interface Server {
  readonly version: ServerVersion
  readonly folder: string
  readonly dataDirectory: string
  readonly port: number
  readonly socketDirectory: string
  readonly isRunning: boolean
  /** Of the postmaster; undefined when it does not run. */
  readonly pid: number | undefined
  /** `postgresql://postgres@127.0.0.1:port/database` */
  url(database?: string, user?: string): string
  /** The rows of the last statement, as the superuser on a connection of its own. */
  query<Row = Record<string, unknown>>(
    sql: string,
    parameters?: readonly unknown[],
    database?: string,
  ): Promise<Row[]>
  /** Appends to postgresql.conf; takes effect with `select pg_reload_conf()` or a restart. */
  configure(settings: Settings): void
  start(options?: { wait?: boolean }): Promise<void>
  /** Resolves when the postmaster has ended. */
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>
  /** Signals the postmaster alone. */
  kill(signal: NodeJS.Signals): void
  /** Resolves when the postmaster has ended, by whatever cause. */
  ended(): Promise<void>
  /** Everything the server, and the commands it ran, wrote so far. */
  log(): string
}

const cleanups: (() => Promise<void>)[] = []
const ownFolders = new Set<string>()

// Registered when a test file imports this, so it runs after that file's own afterAll hooks.
afterAll(async () => {
  const failures: unknown[] = []
  for (const cleanup of cleanups.splice(0).reverse()) {
    await cleanup().catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw new AggregateError(failures, 'could not clean up')
})

/** initdb (so every server has a system identifier of its own) and start; trust, as `postgres`. */
export async function startServer(
  options: ServerOptions & { walSegmentSizeMegabytes?: number } = {},
): Promise<Server> {
  const version = options.version ?? defaultVersion()
  const folder = options.folder ?? folderForServers('server')
  const dataDirectory = join(folder, 'data')
  const segmentSize = `--wal-segsize=${options.walSegmentSizeMegabytes ?? 16}`
  execFileSync(
    join(version.bin, 'initdb'),
    ['-D', dataDirectory, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'].concat(
      '--no-sync',
      segmentSize,
    ),
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...asUnprivileged() },
  )
  return startFrom(dataDirectory, { ...options, version, folder })
}

/**
 * Starts a server on an existing data directory (a base backup, a copy), as a primary, or with
 * `signal` in archive recovery or as a standby. It gets a port and a socket directory of its own.
 */
export async function startFrom(
  dataDirectory: string,
  options: ServerOptions & { signal?: 'recovery' | 'standby' } = {},
): Promise<Server> {
  const folder = options.folder ?? folderForServers('server')
  const port = await freePort()
  const server = makeServer(dataDirectory, folder, port, options)
  server.configure({
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: server.socketDirectory,
    fsync: false,
    shared_buffers: '16MB',
    log_line_prefix: '%m [%p] ',
    ...options.settings,
  })
  if (options.signal !== undefined) {
    const file = join(dataDirectory, `${options.signal}.signal`)
    writeFileSync(file, '')
    ownByUnprivileged(file)
  }
  await server.start({ wait: options.wait ?? true })
  return server
}

function makeServer(
  dataDirectory: string,
  folder: string,
  port: number,
  options: ServerOptions,
): Server {
  const version = options.version ?? defaultVersion()
  const logFile = join(folder, 'server.log')
  const socketDirectory = makeFolder(folder, 's')
  let postmaster: ChildProcess | undefined
  const running = () =>
    postmaster !== undefined && postmaster.exitCode === null && postmaster.signalCode === null
  const log = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')

  const server: Server = {
    version,
    folder,
    dataDirectory,
    port,
    socketDirectory,
    get isRunning() {
      return running()
    },
    get pid() {
      return running() ? postmaster?.pid : undefined
    },
    url: (database = 'postgres', user = 'postgres') =>
      `postgresql://${user}@127.0.0.1:${port}/${database}`,
    async query<Row>(sql: string, parameters: readonly unknown[] = [], database = 'postgres') {
      const client = new Client({ host: socketDirectory, port, user: 'postgres', database })
      // A server that stops under a query rejects the query; the event would end the process.
      client.on('error', () => {})
      await client.connect()
      try {
        const results = await client.query(sql, parameters.length > 0 ? [...parameters] : undefined)
        const last = Array.isArray(results) ? results.at(-1) : results
        return last.rows as Row[]
      } finally {
        await client.end()
      }
    },
    configure(settings) {
      const lines = Object.entries(settings).map(
        ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
      )
      appendFileSync(join(dataDirectory, 'postgresql.conf'), lines.join(''))
    },
    async start({ wait = true } = {}) {
      const output = openSync(logFile, 'a')
      ownByUnprivileged(logFile)
      postmaster = spawn(join(version.bin, 'postgres'), ['-D', dataDirectory], {
        cwd: folder,
        // A session of its own: a terminal's Ctrl-C is for the test runner, which then stops us.
        detached: true,
        env: { PATH: process.env.PATH, LC_ALL: 'C', ...options.environment },
        stdio: ['ignore', output, output],
        ...asUnprivileged(),
      })
      closeSync(output)
      await once(postmaster, 'spawn')
      stopWhenWeDie(postmaster, ownFolders.has(folder) ? folder : '')
      if (wait) await ready()
    },
    async stop(mode = 'fast') {
      const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
      server.kill(signals[mode])
      await server.ended()
    },
    kill(signal) {
      if (running()) postmaster?.kill(signal)
    },
    async ended() {
      if (running() && postmaster !== undefined) await once(postmaster, 'exit')
    },
    log,
  }

  /** As pg_ctl does: the eighth line of postmaster.pid. */
  async function ready() {
    const pidFile = join(dataDirectory, 'postmaster.pid')
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20)) {
      if (!running()) throw new Error(`the server ended while it started:\n${log()}`)
      const lines = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').split('\n') : []
      if (lines[0] === String(postmaster?.pid) && /^(ready|standby)/.test(lines[7] ?? '')) return
    }
    throw new Error(`the server did not become ready:\n${log()}`)
  }

  cleanups.push(async () => {
    server.kill('SIGCONT')
    await server.stop('immediate')
  })
  return server
}

/**
 * A test run that is killed runs no hooks: then a shell that waits for our end of a pipe to close
 * stops the server, and removes the folder that nobody else would.
 */
function stopWhenWeDie(postmaster: ChildProcess, folder: string): void {
  const script = `read -r _; kill -QUIT "$1" && while kill -0 "$1"; do sleep 0.1; done
    [ -z "$2" ] || rm -rf "$2"`
  const watcher = spawn('sh', ['-c', script, 'sh', String(postmaster.pid), folder], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    ...asUnprivileged(),
  })
  watcher.unref()
  ;(watcher.stdin as Socket).unref()
  postmaster.once('exit', () => watcher.kill('SIGKILL'))
}

/** A folder that is removed when the test file ends, after every server that is started from now on. */
export function folderForServers(purpose: string): string {
  const folder = temporaryFolder(purpose)
  cleanups.push(() => folder.remove())
  ownFolders.add(folder.path)
  return folder.path
}

/** Below the kernel's ephemeral ports, so that no outgoing connection takes it in the meantime. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer().listen(port, '127.0.0.1')
    const free = await Promise.race([
      once(probe, 'listening').then(() => true),
      once(probe, 'error').then(() => false),
    ]).catch(() => false)
    if (!free) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}
