import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { makeFolder } from '../test/support/folder.ts'
import { defaultVersion } from '../test/support/postgres-versions.ts'
import { asUnprivileged } from '../test/support/unprivileged.ts'

export interface Server {
  readonly dataDirectory: string
  readonly port: number
  readonly socketDirectory: string
  /** Of the postmaster. */
  readonly pid: number
  url(database: string, user?: string): string
  query<Row = Record<string, unknown>>(sql: string, database?: string): Promise<Row[]>
  /** Takes effect at once, where a reload is enough. */
  configure(settings: Readonly<Record<string, string>>): Promise<void>
}

/** A server that was not started yet. */
export interface Initialised {
  readonly dataDirectory: string
  readonly port: number
  readonly socketDirectory: string
}

const { bin } = defaultVersion()

/** Runs a program as the unprivileged user, in a folder that it may enter; throws unless it succeeds. */
export function run(
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
) {
  return execFileSync(program, words, {
    ...surroundings(environment),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** The same, while others are looked at. */
export async function runBeside(
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  await promisify(execFile)(program, words, surroundings(environment))
}

function surroundings(environment: NodeJS.ProcessEnv) {
  return {
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...environment },
    encoding: 'utf8',
    ...asUnprivileged(),
  } as const
}

export function postgresProgram(name: string): string {
  return join(bin, name)
}

/** initdb and start, as the unprivileged user. It is stopped when this process ends. */
export async function startServer(
  parent: string,
  name: string,
  settings: Readonly<Record<string, string>>,
): Promise<Server> {
  return startInitialised(await initialiseServer(parent, name, settings))
}

export async function initialiseServer(
  parent: string,
  name: string,
  settings: Readonly<Record<string, string>>,
): Promise<Initialised> {
  const folder = makeFolder(parent, name)
  const dataDirectory = join(folder, 'data')
  const port = await freePort()
  run(join(bin, 'initdb'), [
    '-D',
    dataDirectory,
    '-U',
    'postgres',
    '-A',
    'trust',
    '--no-sync',
    '--locale=C',
  ])
  appendSettings(dataDirectory, {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    ...settings,
  })
  return { dataDirectory, port, socketDirectory: folder }
}

export function startInitialised(
  { dataDirectory, port, socketDirectory }: Initialised,
  environment: NodeJS.ProcessEnv = {},
): Server {
  const log = join(socketDirectory, 'log')
  // Before the folder that it lies in is removed.
  process.prependListener('exit', () => stopServer(dataDirectory))
  run(join(bin, 'pg_ctl'), ['start', '-w', '-s', '-D', dataDirectory, '-l', log], environment)
  const server: Server = {
    dataDirectory,
    port,
    socketDirectory,
    pid: postmasterPid(dataDirectory),
    url: (database, user = 'postgres') => `postgresql://${user}@127.0.0.1:${port}/${database}`,
    async query<Row>(sql: string, database = 'postgres') {
      const client = new pg.Client({ host: socketDirectory, port, user: 'postgres', database })
      await client.connect()
      try {
        const results = await client.query(sql)
        return (Array.isArray(results) ? results.at(-1) : results).rows as Row[]
      } finally {
        await client.end()
      }
    },
    async configure(more) {
      appendSettings(dataDirectory, more)
      process.kill(server.pid, 'SIGHUP')
    },
  }
  return server
}

/** Those that were written last count. */
export function appendSettings(
  dataDirectory: string,
  settings: Readonly<Record<string, string>>,
): void {
  const lines = Object.entries(settings).map(
    ([key, value]) => `${key} = '${value.replaceAll("'", "''")}'\n`,
  )
  appendFileSync(join(dataDirectory, 'postgresql.conf'), lines.join(''))
}

/** At once, if it runs. */
export function stopServer(dataDirectory: string): void {
  const words = ['stop', '-D', dataDirectory, '-m', 'immediate']
  spawnSync(join(bin, 'pg_ctl'), words, { cwd: '/', stdio: 'ignore', ...asUnprivileged() })
}

/** Throws when it does not run. */
export function postmasterPid(dataDirectory: string): number {
  return Number.parseInt(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8'), 10)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
