import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder } from './folder.ts'
import { installation } from './installation.ts'
import { folderForServers, type Server, type ServerOptions, startServer } from './postgres.ts'
import { type Sshd, startSshd } from './sshd.ts'
import { asUnprivileged } from './unprivileged.ts'

export interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface PathOptions {
  readonly root?: string
  readonly sshd?: Sshd
  /** The name of its server; otherwise its address. */
  readonly host?: string
  /** Bytes that push leaves free there; otherwise the usual ones. */
  readonly reserve?: number
}

/**
 * A scheduling database, and what a host needs to archive through it, in a folder of its own. Commands
 * run as the unprivileged user through the installed launcher, as PostgreSQL runs them.
 */
export interface Fleet {
  readonly folder: string
  readonly schedule: Server
  /** What hosts have in their environment: log in as pgarch_agent, state directory, SSH key. */
  readonly environment: Readonly<Record<string, string>>
  /** Runs pgarch; its standard input is empty. With `admin`, as a DBA who may steer the fleet. */
  pgarch(words: readonly string[], options?: RunOptions): Promise<Finished>
  /** The same as a DBA; rejects unless it succeeds. */
  admin(...words: string[]): Promise<string>
  /** Adds a path, on a local directory or through an sshd, and returns its root. */
  addPath(name: string, options?: PathOptions): Promise<string>
  /** A running server that archives with pgarch, registered under the name, with these paths. */
  startPrimary(name: string, paths: readonly string[], options?: PrimaryOptions): Promise<Server>
  /** Settings for a server that restores with pgarch. */
  readonly restoreSettings: Readonly<Record<string, string>>
  readonly archiveSettings: Readonly<Record<string, string>>
  /** Rows of the scheduling database. */
  rows<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>
}

export interface RunOptions {
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly admin?: boolean
  /** As whoever runs the tests, who may be root. */
  readonly asTester?: boolean
}

export type PrimaryOptions = ServerOptions & { readonly walSegmentSizeMegabytes?: number }

/** Starts a fleet; everything ends with the test file. */
export async function startFleet(
  options: { schedule?: Server; environment?: Record<string, string> } = {},
): Promise<Fleet> {
  const folder = folderForServers('fleet')
  const { pgarch: program } = installation()
  const schedule = options.schedule ?? (await startServer())
  await schedule.query('create database pgarch')
  const keys = await startSshd({ folder })
  await keys.stop()
  const adminUrl = schedule.url('pgarch')
  const environment = {
    PATH: '/usr/bin:/bin',
    // Where the compile cache goes, and where keys and passwords are looked for.
    HOME: folder,
    PGARCH_SCHEDULE_URL: schedule.url('pgarch', 'pgarch_agent'),
    PGARCH_STATE_DIR: makeFolder(folder, 'state'),
    PGARCH_SSH_IDENTITY: keys.identity,
    PGARCH_FETCH_PATIENCE: '2s',
    // What a command does by itself is told from what a worker does where that is tested.
    PGARCH_PUSH_WORKER: 'off',
    PGARCH_FETCH_PREFETCH: '0',
    ...options.environment,
  }
  const archiveCommand = `"${program}" push %p %f`
  const restoreCommand = `"${program}" fetch %f %p`

  const fleet: Fleet = {
    folder,
    schedule,
    environment,
    archiveSettings: { archive_mode: 'on', archive_command: archiveCommand, wal_level: 'replica' },
    restoreSettings: { restore_command: restoreCommand },
    async pgarch(
      words,
      { cwd = folder, environment: more = {}, admin = false, asTester = false } = {},
    ) {
      const url = admin ? { PGARCH_SCHEDULE_URL: adminUrl } : {}
      const child = spawn(program, words, {
        cwd,
        env: { ...environment, ...url, ...more },
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(asTester ? {} : asUnprivileged()),
      })
      const closed = once(child, 'close')
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      await closed
      return { status: child.exitCode, stdout, stderr }
    },
    async admin(...words) {
      // However short the hosts' timeout is: what a test prepares is not what it tries.
      const patient = { PGARCH_SCHEDULE_TIMEOUT: '30s' }
      const { status, stdout, stderr } = await fleet.pgarch(words, {
        admin: true,
        environment: patient,
      })
      if (status !== 0) throw new Error(`pgarch ${words.join(' ')}: ${status}\n${stdout}${stderr}`)
      return stdout
    },
    async addPath(
      name,
      { sshd, reserve, host = sshd?.host, root = makeFolder(folder, name) } = {},
    ) {
      const words = ['path', 'add', name, '--root', root]
      if (reserve !== undefined) words.push('--reserve', String(reserve))
      if (sshd !== undefined) {
        words.push('--ssh', `${sshd.user}@${host}:${sshd.port}`, '--host-key', sshd.hostKey)
      }
      await fleet.admin(...words)
      return root
    },
    async startPrimary(name, paths, { environment: more, settings, ...rest } = {}) {
      const server = await startServer({
        walSegmentSizeMegabytes: 1,
        ...rest,
        environment: { ...environment, ...more },
        settings: { ...fleet.archiveSettings, ...settings },
      })
      await fleet.admin(
        'register',
        '--name',
        name,
        '--pgdata',
        server.dataDirectory,
        '--pguser',
        'postgres',
      )
      for (const [index, path] of paths.entries()) {
        await fleet.admin('route', 'set', name, path, '--priority', String(100 - index))
      }
      return server
    },
    rows: (sql, parameters = []) => schedule.query(sql, parameters, 'pgarch'),
  }
  await fleet.admin('init')
  return fleet
}

/** Ends the current segment, and resolves to its name when PostgreSQL has archived it. `limit`: of waitFor. */
export async function archiveSegment(server: Server, limit?: number): Promise<string> {
  const name = await endSegment(server)
  await untilArchived(server, name, limit)
  return name
}

/** Ends the current segment, and resolves to its name. */
export async function endSegment(server: Server): Promise<string> {
  const [row] = await server.query<{ name: string }>(
    `create table if not exists filler (n int);
     insert into filler select generate_series(1, 10);
     select pg_walfile_name(pg_switch_wal()) as name`,
  )
  return row?.name ?? ''
}

/** Ends the current segment, and fills the next with what zstd cannot make smaller; about 750 kB. */
export async function endNoisySegment(server: Server): Promise<string> {
  await endSegment(server)
  await server.query(
    `create table if not exists noise (bytes bytea);
     insert into noise
     select decode(string_agg(md5(random()::text), ''), 'hex')
     from generate_series(1, 47000) as part group by part / 94`,
  )
  return await endSegment(server)
}

export async function untilArchived(server: Server, name: string, limit?: number): Promise<void> {
  await waitFor(`${name} is archived`, async () => (await lastArchived(server)) >= name, limit)
}

/** One that gave up on a file tries it again within a minute by itself, or at once when woken. */
export async function wakeArchiver(server: Server): Promise<void> {
  await server.query('select pg_reload_conf()')
}

async function lastArchived(server: Server): Promise<string> {
  const [row] = await server.query<{ name: string | null }>(
    'select last_archived_wal as name from pg_stat_archiver',
  )
  return row?.name ?? ''
}

/** Polls a condition of something outside this process; rejects when it does not come to hold. */
export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 60_000,
): Promise<void> {
  for (const deadline = Date.now() + limit; Date.now() < deadline; await sleep(50)) {
    if (await condition()) return
  }
  throw new Error(`waited in vain until ${what}`)
}

/** The stored file of a WAL file below a path's root. */
export function storedFile(root: string, fingerprint: string, walName: string): string {
  const folder = walName.endsWith('.history') ? '' : walName.slice(0, 16)
  return join(root, fingerprint, folder, `${walName}.zst`)
}

/** What rests after a failure is tried again at once, as if the time had gone by. */
export function endRests(fleet: Fleet, server: Server): void {
  const state = join(fleet.environment.PGARCH_STATE_DIR ?? '', server.dataDirectory, '@pgarch')
  rmSync(join(state, 'rests.json'), { force: true })
}
