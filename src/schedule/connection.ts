import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Client } from 'pg'
import type { NameSettings } from '../dns/ask.ts'
import { within } from '../within.ts'
import type { ScheduleAddress } from './address.ts'
import { scheduleFailure } from './failure.ts'
import { findPassword } from './password.ts'
import { tlsAttempts } from './tls.ts'

/** An open connection to the scheduling database. */
export interface Schedule {
  /** `host:port`, or the socket's directory and port. */
  readonly server: string
  /** The connection has ended, and every query would reject. */
  readonly isLost: boolean
  /** Its name leads elsewhere by now: what is on its way goes on, what comes next is for another one. */
  readonly hasMoved: boolean
  /**
   * The rows of one statement; without parameters it may be several statements, and the rows are the
   * last one's. bigint comes as number (sizes, versions and counts fit), numeric as string. Rejects
   * with a PgarchError whose cause is pg's error.
   */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>
  /** Calls `heard` at every notification on a channel that this session listens on, as long as it lives. */
  onNotification(heard: () => void): void
}

export interface ScheduleSettings {
  /** As libpq understands it. */
  readonly url: string
  /** Whose SRV records name the hosts when the URL names none. */
  readonly domain?: string | undefined
  readonly names?: NameSettings
  /** For connecting, all hosts together, and as an agent for each call; milliseconds. */
  readonly timeoutMilliseconds: number
  readonly applicationName?: string
  /**
   * `agent` (the default): each call has the deadline too, here and in the server. `admin`: a call
   * may take its time. `init`: as admin, and the schema may be missing or of any version.
   */
  readonly purpose?: 'agent' | 'admin' | 'init'
  /** For a statement, which the server then ends; milliseconds. An agent's is that of a call. */
  readonly statementTimeout?: number | undefined
}

/** Where a server is: a host of the URL, or of its domain, and one of that host's addresses. */
export interface ServerPlace {
  readonly host: string
  readonly port: number
  /** Or the socket's directory. */
  readonly address: string
}

/** One that is open, and how to end it. */
export interface Connection {
  readonly schedule: Schedule
  /** Begins to look after where its name leads; what `begin` returns ends that with the connection. */
  follow(begin: (moved: () => void) => () => void): void
  close(): void
}

/** Rejects with whatever pg, or the socket, threw. */
export async function connectToHost(
  address: ScheduleAddress,
  host: ServerPlace,
  settings: ScheduleSettings,
  milliseconds: number,
): Promise<Connection> {
  const deadline = performance.now() + milliseconds
  const attempts = await tlsAttempts(address, host.host)
  for (const [index, ssl] of attempts.entries()) {
    const client = await makeClient(address, host, settings, ssl)
    const connection = makeConnection(client, nameServer(host), settings)
    try {
      await inTime(client.connect(), Math.max(1, deadline - performance.now()))
      return connection
    } catch (thrown) {
      destroySocket(client)
      if (index === attempts.length - 1 || !isAboutEncryption(thrown)) throw thrown
    }
  }
  throw new Error('no attempt was made')
}

async function makeClient(
  address: ScheduleAddress,
  place: ServerPlace,
  settings: ScheduleSettings,
  ssl: ConnectionOptions | false,
): Promise<Client> {
  const { Client, types } = await import('pg')
  const agent = (settings.purpose ?? 'agent') === 'agent'
  const statementTimeout = agent ? settings.timeoutMilliseconds : settings.statementTimeout
  const { host, port } = place
  return new Client({
    host: place.address,
    port,
    // The certificate, and the password, are the host's by its name, at whatever address it is.
    ssl: ssl === false || isIP(host) !== 0 ? ssl : { ...ssl, servername: host },
    user: address.user,
    database: address.database,
    password: () => findPassword(address, { host, port }),
    application_name: address.applicationName ?? settings.applicationName ?? 'pgarch',
    ...(address.options !== undefined && { options: address.options }),
    ...(statementTimeout !== undefined && { statement_timeout: statementTimeout }),
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
  let isLost = false
  let hasMoved = false
  const followed: (() => void)[] = []
  const stopFollowing = () => {
    for (const end of followed.splice(0)) end()
  }
  // A connection that breaks rejects the call in flight, or the next one; the event says no more.
  client.on('error', () => {})
  client.on('end', () => {
    isLost = true
    stopFollowing()
  })
  let turn: Promise<unknown> = Promise.resolve()

  async function run<Row>(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    try {
      const values = parameters.length > 0 ? [...parameters] : undefined
      const answer = client.query(sql, values)
      const results = await (limit === undefined ? answer : inTime(answer, limit))
      const last = Array.isArray(results) ? results.at(-1) : results
      return last.rows as Row[]
    } catch (thrown) {
      throw scheduleFailure(thrown, server)
    }
  }

  return {
    schedule: {
      server,
      get isLost() {
        return isLost
      },
      get hasMoved() {
        return hasMoved
      },
      query<Row>(sql: string, parameters: readonly unknown[] = []) {
        // One at a time: a connection takes no second statement while it has one.
        const mine = turn.then(() => run<Row>(sql, parameters))
        turn = mine.catch(() => {})
        return mine
      },
      onNotification(heard) {
        client.on('notification', heard)
      },
    },
    follow(begin) {
      const end = begin(() => {
        hasMoved = true
      })
      if (isLost) end()
      else followed.push(end)
    },
    // Not awaited: nothing is left to say, and a server that hangs must not hold us up.
    close() {
      stopFollowing()
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

/** Rounded, as what is left of a limit would make another message of it each time. */
async function inTime<Value>(promise: Promise<Value>, milliseconds: number): Promise<Value> {
  const rounded = Math.ceil(milliseconds / 100) * 100
  return await within(promise, milliseconds, () => new Error(`no answer within ${rounded} ms`))
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

/** For messages. */
export function nameServer({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
