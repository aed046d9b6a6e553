import { userInfo } from 'node:os'
import type { ConnectionOptions } from 'node:tls'
import type { Client } from 'pg'
import { PgarchError } from '../errors.ts'
import { parseScheduleAddress, type ScheduleAddress } from './address.ts'
import { scheduleFailure } from './failure.ts'
import { findPassword } from './password.ts'
import { tlsAttempts } from './tls.ts'

/** An open connection to the scheduling database. */
export interface Schedule {
  /** `host:port`, or the socket's directory and port. */
  readonly server: string
  /**
   * The rows of one statement; without parameters it may be several statements, and the rows are the
   * last one's. bigint comes as number (sizes, versions and counts fit), numeric as string. Rejects
   * with a PgarchError whose cause is pg's error.
   */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>
}

export interface ScheduleSettings {
  /** As libpq understands it. */
  readonly url: string
  /** For connecting, all hosts together, and as an agent for each call; milliseconds. */
  readonly timeoutMilliseconds: number
  readonly applicationName?: string
  /**
   * `agent` (the default): each call has the deadline too, here and in the server. `admin`: a call
   * may take its time. `init`: as admin, and the schema may be missing or of any version.
   */
  readonly purpose?: 'agent' | 'admin' | 'init'
}

/** The newest migration that this program was written for. */
export const knownSchemaVersion = 4

/**
 * Connects to the first host that answers and has the wanted session attributes, checks that schema
 * and program fit, calls, and disconnects. Rejects with `unreachable`, `unusable` or `usage`;
 * whatever `fn` throws passes through.
 */
export async function withSchedule<Result>(
  settings: ScheduleSettings,
  fn: (schedule: Schedule) => Promise<Result>,
): Promise<Result> {
  const address = parseScheduleAddress(settings.url, process.env, userInfo().username)
  const connection = await connectToAny(address, settings)
  try {
    if (settings.purpose !== 'init') await requireKnownSchema(connection.schedule)
    return await fn(connection.schedule)
  } finally {
    connection.close()
  }
}

interface Connection {
  readonly schedule: Schedule
  close(): void
}

async function connectToAny(
  address: ScheduleAddress,
  settings: ScheduleSettings,
): Promise<Connection> {
  const deadline = Date.now() + settings.timeoutMilliseconds
  const wanted = address.sessionAttributes
  const rounds = wanted === 'prefer-standby' ? (['standby', 'any'] as const) : [wanted]
  const tries = rounds.flatMap((round) => address.hosts.map((host) => ({ round, host })))
  const failures: PgarchError[] = []
  for (const [index, { round, host }] of tries.entries()) {
    // A host that does not answer leaves the others their share of the time.
    const share = (deadline - Date.now()) / (tries.length - index)
    const own = (address.connectTimeoutSeconds ?? Number.POSITIVE_INFINITY) * 1000
    try {
      const connection = await connectToHost(address, host, settings, Math.min(share, own))
      const mismatch = await sessionMismatch(connection.schedule, round)
      if (mismatch === undefined) return connection
      connection.close()
      failures.push(mismatch)
    } catch (thrown) {
      const failure = scheduleFailure(thrown, nameServer(host))
      // As libpq: a host that answers and refuses ends the search; a wrong password stays wrong.
      if (failure.failure !== 'unreachable') throw failure
      failures.push(failure)
    }
  }
  throw summarize(failures)
}

function summarize(failures: readonly PgarchError[]): PgarchError {
  const [first] = failures
  if (first !== undefined && failures.length === 1) return first
  const messages = [...new Set(failures.map(({ message }) => message))]
  return new PgarchError('unreachable', messages.join('; '), {
    ...(first?.hint !== undefined && { hint: first.hint }),
  })
}

async function connectToHost(
  address: ScheduleAddress,
  host: { host: string; port: number },
  settings: ScheduleSettings,
  milliseconds: number,
): Promise<Connection> {
  const deadline = Date.now() + milliseconds
  const attempts = await tlsAttempts(address, host.host)
  for (const [index, ssl] of attempts.entries()) {
    const client = await makeClient(address, host, settings, ssl)
    const connection = makeConnection(client, nameServer(host), settings)
    try {
      await within(client.connect(), Math.max(1, deadline - Date.now()))
      return connection
    } catch (thrown) {
      connection.close()
      if (index === attempts.length - 1 || !isAboutEncryption(thrown)) throw thrown
    }
  }
  throw new Error('no attempt was made')
}

async function makeClient(
  address: ScheduleAddress,
  host: { host: string; port: number },
  settings: ScheduleSettings,
  ssl: ConnectionOptions | false,
): Promise<Client> {
  const { Client, types } = await import('pg')
  const agent = (settings.purpose ?? 'agent') === 'agent'
  return new Client({
    ...host,
    ssl,
    user: address.user,
    database: address.database,
    password: () => findPassword(address, host),
    application_name: address.applicationName ?? settings.applicationName ?? 'pgarch',
    ...(address.options !== undefined && { options: address.options }),
    ...(agent && { statement_timeout: settings.timeoutMilliseconds }),
    keepAlive: true,
    types: {
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === types.builtins.INT8
          ? Number
          : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  })
}

function makeConnection(client: Client, server: string, settings: ScheduleSettings): Connection {
  const limit = (settings.purpose ?? 'agent') === 'agent' ? settings.timeoutMilliseconds : undefined
  // A connection that breaks rejects the call in flight, or the next one; the event says no more.
  client.on('error', () => {})
  return {
    schedule: {
      server,
      async query<Row>(sql: string, parameters: readonly unknown[] = []) {
        try {
          const values = parameters.length > 0 ? [...parameters] : undefined
          const answer = client.query(sql, values)
          const results = await (limit === undefined ? answer : within(answer, limit))
          const last = Array.isArray(results) ? results.at(-1) : results
          return last.rows as Row[]
        } catch (thrown) {
          throw scheduleFailure(thrown, server)
        }
      },
    },
    // Not awaited: nothing is left to say, and a server that hangs must not hold us up.
    close() {
      const ended = client.end().catch(() => {})
      const timer = setTimeout(() => destroySocket(client), 1000).unref()
      ended.finally(() => clearTimeout(timer))
    },
  }
}

/** pg has no public way to drop a connection whose server does not answer. */
function destroySocket(client: Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

async function within<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${Math.round(milliseconds)} ms`)),
      milliseconds,
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The server does not speak TLS, or pg_hba.conf has no line for this connection with or without. */
function isAboutEncryption(thrown: unknown): boolean {
  const { code, message } = thrown as { code?: string; message?: string }
  return (
    code === '28000' ||
    /does not support SSL|SSL connection/.test(message ?? '') ||
    /^ERR_(SSL|TLS)|CERT/.test(code ?? '')
  )
}

/** What is wrong with this session, if it has not the wanted attributes. */
async function sessionMismatch(
  schedule: Schedule,
  wanted: ScheduleAddress['sessionAttributes'],
): Promise<PgarchError | undefined> {
  if (wanted === 'any') return undefined
  const [row] = await schedule.query<{ standby: boolean; readOnly: boolean }>(
    `select pg_catalog.pg_is_in_recovery() as standby,
            pg_catalog.current_setting('transaction_read_only')::bool as "readOnly"`,
  )
  const standby = row?.standby === true
  const readOnly = row?.readOnly === true
  const fits = {
    'read-write': !readOnly,
    'read-only': readOnly,
    primary: !standby,
    standby,
    'prefer-standby': standby,
  }[wanted]
  if (fits) return undefined
  const is = wanted.startsWith('read') ? `read-${readOnly ? 'only' : 'write'}` : 'primary'
  const found = wanted === 'primary' ? 'standby' : is
  return new PgarchError(
    'unreachable',
    `scheduling database at ${schedule.server}: session is ${found}, not ${wanted}`,
    { hint: 'The URL asks for it with target_session_attrs.' },
  )
}

async function requireKnownSchema(schedule: Schedule): Promise<void> {
  const [row] = await schedule.query<{ version: number; oldest: number }>(
    'select version, oldest_client as oldest from pgarch.schema_version()',
  )
  const { version = 0, oldest = 0 } = row ?? {}
  if (version < knownSchemaVersion) {
    throw new PgarchError(
      'unusable',
      `scheduling database at ${schedule.server}: schema version ${version} is older than this pgarch needs, which is ${knownSchemaVersion}`,
      { hint: 'Run "pgarch init" of this version once, as a member of pgarch_admin.' },
    )
  }
  if (oldest > knownSchemaVersion) {
    throw new PgarchError(
      'unusable',
      `scheduling database at ${schedule.server}: schema version ${version} is too new for this pgarch, which knows ${knownSchemaVersion}`,
      { hint: 'Install a newer pgarch on this host.' },
    )
  }
}

function nameServer({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
