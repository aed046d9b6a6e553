import { userInfo } from 'node:os'
import type { Client } from 'pg'
import { describeError, PgarchError } from '../errors.ts'

/** What the functions of this folder need of a connection. */
export interface Connection {
  query(sql: string, parameters?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

export interface ServerState {
  readonly inRecovery: boolean
  /** Bytes. */
  readonly walSegmentSize: number
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** 150018 */
  readonly serverVersionNum: number
  /** As the server was given it: may have symbolic links. */
  readonly dataDirectory: string
}

/**
 * How long the production server may take to accept a connection, and for one statement, which it ends
 * itself then: of one that waits for a lock each check would else leave another.
 */
const deadlines = {
  connectionTimeoutMillis: 10_000,
  query_timeout: 30_000,
  statement_timeout: 30_000,
}

/**
 * Connects to the database `postgres` of a production server through its socket; the caller ends the
 * connection. `unreachable` when there is no answer, `unusable` when the server refuses.
 *
 * @param server.user otherwise the name of the operating system's user, as peer authentication wants
 */
export async function connectToProduction(server: {
  readonly socketDirectory: string
  readonly port: number
  readonly user?: string
}): Promise<Client> {
  const { Client } = await import('pg')
  const { socketDirectory: host, port, user = userInfo().username } = server
  // PGSSLMODE is meant for the scheduling database: there is no TLS on a socket.
  const options = { host, port, user, database: 'postgres', ssl: false, ...deadlines }
  const client = new Client({ ...options, application_name: 'pgarch' })
  // A connection that breaks rejects the next query; without a listener it would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (thrown) {
    await client.end().catch(() => {})
    throw productionError(
      `could not connect to the server on socket "${host}", port ${port}`,
      thrown,
    )
  }
  return client
}

/** Needs a superuser or a member of pg_monitor. `unusable` or `unreachable` on failure. */
export async function readServerState(connection: Connection): Promise<ServerState> {
  const [row] = await ask(
    connection,
    'read the state of the server',
    `select pg_is_in_recovery() as in_recovery,
            (select setting from pg_settings where name = 'wal_segment_size')::int as segment_size,
            (select system_identifier from pg_control_system())::text as system_identifier,
            current_setting('server_version_num')::int as version,
            current_setting('data_directory') as data_directory`,
  )
  return {
    inRecovery: row?.in_recovery === true,
    walSegmentSize: Number(row?.segment_size),
    // SQL has no unsigned type: an identifier made after 2038 comes as a negative number.
    systemIdentifier: BigInt.asUintN(64, BigInt(String(row?.system_identifier))).toString(),
    serverVersionNum: Number(row?.version),
    dataDirectory: String(row?.data_directory),
  }
}

/** The rows of one statement; what goes wrong is told as `could not <purpose>`. */
export async function ask(
  connection: Connection,
  purpose: string,
  sql: string,
  parameters: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  try {
    return (await connection.query(sql, parameters)).rows
  } catch (thrown) {
    throw productionError(`could not ${purpose}`, thrown)
  }
}

/** A server that refuses says so with an SQLSTATE of five characters; all else is no answer. */
function productionError(what: string, thrown: unknown): PgarchError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const isAnswer = thrown instanceof Error && 'severity' in thrown && code.length === 5
  // 57P03: it is starting up or shutting down.
  const failure = isAnswer && code !== '57P03' ? 'unusable' : 'unreachable'
  return new PgarchError(failure, `${what}: ${describeError(thrown)}`, { cause: thrown })
}
