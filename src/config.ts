import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DeclaredPath } from './declared-paths.ts'
import { PgarchError } from './errors.ts'
import { boolean, domain, duration, integer, path, servers, size, text } from './settings.ts'

/**
 * Every setting: its key in the configuration file, its environment variable, how its value reads,
 * and what holds when nobody sets it. docs/configuration.md says the same in words; a test compares.
 * Times are milliseconds inside, and written with PostgreSQL's units outside.
 */
export const settings = {
  scheduleUrl: setting('schedule.url', 'PGARCH_SCHEDULE_URL', text, undefined),
  scheduleDomain: setting('schedule.domain', 'PGARCH_SCHEDULE_DOMAIN', domain, undefined),
  scheduleTimeout: setting('schedule.timeout', 'PGARCH_SCHEDULE_TIMEOUT', duration, '3s'),
  sshIdentity: setting('ssh.identity', 'PGARCH_SSH_IDENTITY', path, undefined),
  sshConnectTimeout: setting('ssh.connect_timeout', 'PGARCH_SSH_CONNECT_TIMEOUT', duration, '10s'),
  stallTimeout: setting('transfer.stall_timeout', 'PGARCH_STALL_TIMEOUT', duration, '15s'),
  transferTimeout: setting('transfer.timeout', 'PGARCH_TRANSFER_TIMEOUT', duration, '120s'),
  compressionLevel: setting(
    'transfer.compression_level',
    'PGARCH_COMPRESSION_LEVEL',
    integer(1, 19),
    1,
  ),
  fetchPatience: setting('fetch.patience', 'PGARCH_FETCH_PATIENCE', duration, '10min'),
  fetchStandbyDeadline: setting(
    'fetch.standby_deadline',
    'PGARCH_FETCH_STANDBY_DEADLINE',
    duration,
    '5s',
  ),
  pathsComplete: setting('fetch.paths_complete', 'PGARCH_FETCH_PATHS_COMPLETE', boolean, false),
  fetchPrefetch: setting('fetch.prefetch', 'PGARCH_FETCH_PREFETCH', integer(0, 64), 8),
  triggerFile: setting('fetch.trigger_file', 'PGARCH_FETCH_TRIGGER_FILE', path, undefined),
  prefetchReserve: setting('fetch.prefetch_reserve', 'PGARCH_FETCH_PREFETCH_RESERVE', size, '1GB'),
  cleanupPath: setting('cleanup.path', 'PGARCH_CLEANUP_PATH', text, undefined),
  pushWorker: setting('push.worker', 'PGARCH_PUSH_WORKER', boolean, true),
  pushParallel: setting('push.parallel', 'PGARCH_PUSH_PARALLEL', integer(1, 16), 4),
  workerIdle: setting('worker.idle', 'PGARCH_WORKER_IDLE', duration, '5min'),
  localArchive: setting('local_archive.directory', 'PGARCH_LOCAL_ARCHIVE', path, undefined),
  localReserve: setting('local_archive.reserve', 'PGARCH_LOCAL_RESERVE', size, '1GB'),
  dnsServers: setting('dns.servers', 'PGARCH_DNS_SERVERS', servers, undefined),
} as const

/** What a flag, an environment variable and the file were found to say, in that order of rank. */
export type Config = Readonly<{
  [Name in keyof typeof settings]: (typeof settings)[Name]['fallback']
}> & {
  /** Base of all state directories: environment only, because the launcher reads no file. */
  readonly stateDirectory: string
  /** Where answers about names are kept: nowhere, unless `keepingNames` says it. */
  readonly nameDirectory: string | undefined
  /** PGARCH_MEMBER: a member.json's path, or its content. */
  readonly member: string | undefined
  /** For a restore while the scheduling database is down, or lost: the file's `[[path]]` tables. */
  readonly declaredPaths: readonly DeclaredPath[]
  /** The file that was read, if there was one. */
  readonly file: string | undefined
}

export interface Flags {
  readonly config?: string | undefined
  readonly schedule?: string | undefined
}

const defaultFile = '/etc/pgarch/pgarch.toml'

/** Flags before environment before file before defaults. Rejects with `usage`, naming the setting. */
export async function loadConfig(
  flags: Flags = {},
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Config> {
  const file = configFile(flags, environment)
  const fromFile = file === undefined ? new Map<string, unknown>() : await readConfigFile(file)
  const values: Record<string, unknown> = {}
  for (const [name, one] of Object.entries<Setting<unknown>>(settings)) {
    const flag = name === 'scheduleUrl' ? flags.schedule : undefined
    values[name] =
      read(flag, one, '--schedule') ??
      read(environment[one.variable] || undefined, one, one.variable) ??
      read(fromFile.get(one.key), one, `${one.key} in "${file}"`) ??
      one.fallback
  }
  return Object.freeze({
    ...values,
    declaredPaths: await readDeclaredPaths(fromFile.get('path'), file),
    stateDirectory: environment.PGARCH_STATE_DIR || '/var/lib/pgarch',
    nameDirectory: undefined,
    member: environment.PGARCH_MEMBER || undefined,
    file,
  }) as unknown as Config
}

/** The same for who works for one data directory, whose state directory is known by now. */
export function keepingNames(config: Config, stateDirectory: string): Config {
  return { ...config, nameDirectory: join(stateDirectory, 'names') }
}

interface Setting<Value> {
  readonly key: string
  readonly variable: string
  readonly parse: (value: unknown) => Value
  readonly fallback: Value
}

function setting<Value>(
  key: string,
  variable: string,
  parse: (value: unknown) => Value,
  fallback: undefined,
): Setting<Value | undefined>
function setting<Value>(
  key: string,
  variable: string,
  parse: (value: unknown) => Value,
  fallback: string | number | boolean,
): Setting<Value>
function setting<Value>(
  key: string,
  variable: string,
  parse: (value: unknown) => Value,
  fallback: string | number | boolean | undefined,
): Setting<Value | undefined> {
  return { key, variable, parse, fallback: fallback === undefined ? undefined : parse(fallback) }
}

function read<Value>(value: unknown, one: Setting<Value>, source: string): Value | undefined {
  if (value === undefined) return undefined
  try {
    return one.parse(value)
  } catch (error) {
    throw new PgarchError('usage', `invalid value for ${source}: ${(error as Error).message}`, {
      hint: 'docs/configuration.md lists every setting with its unit.',
    })
  }
}

async function readDeclaredPaths(
  tables: unknown,
  file: string | undefined,
): Promise<readonly DeclaredPath[]> {
  if (tables === undefined) return []
  const { declaredPaths } = await import('./declared-paths.ts')
  try {
    return declaredPaths(tables)
  } catch (error) {
    throw new PgarchError('usage', `invalid [[path]] in "${file}": ${(error as Error).message}`, {
      hint: 'docs/restoring.md tells how paths are declared.',
    })
  }
}

function configFile(flags: Flags, environment: NodeJS.ProcessEnv): string | undefined {
  const asked = flags.config ?? (environment.PGARCH_CONFIG || undefined)
  if (asked !== undefined) return asked
  return existsSync(defaultFile) ? defaultFile : undefined
}

/** Without the lines that a parser shows with its reason: a password may be in them. */
function reasonOf(error: unknown): string {
  const { message, line, column } = error as Error & { line?: number; column?: number }
  const [reason = ''] = message.split('\n')
  return line === undefined ? reason : `${reason}, at line ${line}, column ${column}`
}

async function readConfigFile(file: string): Promise<Map<string, unknown>> {
  const { parse } = await import('smol-toml')
  let tables: Record<string, unknown>
  try {
    tables = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const why = reasonOf(error)
    throw new PgarchError('usage', `could not read configuration file "${file}": ${why}`, {
      hint: 'It must be readable for the user that PostgreSQL runs as, and valid TOML.',
    })
  }
  const values = new Map<string, unknown>()
  for (const [table, content] of Object.entries(tables)) {
    if (table === 'path' || typeof content !== 'object' || content === null) {
      values.set(table, content)
    } else for (const [key, value] of Object.entries(content)) values.set(`${table}.${key}`, value)
  }
  const known = new Set<string>(Object.values(settings).map((one) => one.key))
  for (const key of values.keys()) {
    if (known.has(key) || key === 'path') continue
    throw new PgarchError('usage', `unrecognized setting "${key}" in "${file}"`, {
      hint: `Settings are ${[...known].join(', ')}.`,
    })
  }
  return values
}
