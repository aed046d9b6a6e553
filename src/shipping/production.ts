import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { PgarchError } from '../errors.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { readLife } from '../postgres/life.ts'
import { ask, connectToProduction, readServerState } from '../postgres/production.ts'
import { parseLsn } from '../wal/lsn.ts'
import { parseWalName } from '../wal/names.ts'

/** How far a primary is. */
export interface Position {
  /** That it writes on. */
  readonly timeline: number
  /** All before it is on its disk. */
  readonly flushed: bigint
}

/** The server on a data directory, over one connection that is made again when it was lost. */
export interface Production {
  /** Rejects while it does not answer; `refused` when it is another server. */
  position(): Promise<Position | 'in recovery'>
  /** A server that hangs is not waited for: what is asked rejects. */
  close(): Promise<void>
}

/** For a server to hear that the connection ends, in milliseconds. */
const farewell = 500

/** @param pguser otherwise the operating system user's name */
export function openProduction(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
): Production {
  let connection: Client | undefined

  async function close(): Promise<void> {
    const one = connection
    connection = undefined
    if (one !== undefined) await end(one)
  }

  return {
    async position() {
      connection ??= await connect(dataDirectory, pguser)
      try {
        return await readPosition(connection)
      } catch (thrown) {
        void close()
        throw thrown
      }
    },
    close,
  }
}

async function connect(dataDirectory: DataDirectory, pguser: string | undefined): Promise<Client> {
  const life = await readLife(dataDirectory.path)
  if (life?.socketDirectory === undefined) {
    throw new PgarchError('unreachable', `no server runs on "${dataDirectory.path}"`)
  }
  const { socketDirectory, port } = life
  const user = pguser === undefined ? {} : { user: pguser }
  const connection = await connectToProduction({ socketDirectory, port, ...user })
  try {
    const state = await readServerState(connection)
    if (state.systemIdentifier !== dataDirectory.systemIdentifier) {
      throw new PgarchError(
        'refused',
        `the server on socket "${socketDirectory}", port ${port}, is not the one of "${dataDirectory.path}"`,
      )
    }
    if (await isElsewhere(state.dataDirectory, dataDirectory.path)) {
      throw new PgarchError(
        'unreachable',
        `no server runs on "${dataDirectory.path}": the one on its socket runs on "${state.dataDirectory}"`,
      )
    }
    return connection
  } catch (thrown) {
    await end(connection)
    throw thrown
  }
}

/**
 * A server that crashed leaves postmaster.pid behind, and a copy of it may have taken its socket since. How far
 * that one is says nothing of this pg_wal. A container's path that means nothing here is believed.
 */
async function isElsewhere(told: string, expected: string): Promise<boolean> {
  const [there, here] = await Promise.all([stat(told).catch(() => undefined), stat(expected)])
  return there !== undefined && (there.ino !== here.ino || there.dev !== here.dev)
}

async function end(client: Client): Promise<void> {
  const ended = client.end().catch(() => {})
  await Promise.race([ended, sleep(farewell)])
  // pg has no public way to drop a connection whose server does not answer.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

/**
 * The timeline is that of the segment that WAL is inserted into: pg_control's is behind after a promotion.
 * Of the segment's name nothing else counts, as at a segment's end versions differ (xlogfuncs.c).
 */
async function readPosition(connection: Client): Promise<Position | 'in recovery'> {
  const [row] = await ask(
    connection,
    'read how far the server is',
    `select case when not pg_is_in_recovery()
                 then pg_walfile_name(pg_current_wal_insert_lsn()) end as file,
            case when not pg_is_in_recovery()
                 then pg_current_wal_flush_lsn()::text end as flushed`,
  )
  if (row?.file === null || row?.flushed === null) return 'in recovery'
  const timeline = parseWalName(String(row?.file))?.timeline
  const flushed = parseLsn(String(row?.flushed))
  if (timeline !== undefined && flushed !== undefined) return { timeline, flushed }
  throw new Error(`the server is at ${row?.flushed} in "${row?.file}"`)
}
