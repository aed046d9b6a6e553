import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { PgarchError } from '../errors.ts'
import type { DataDirectory } from './data-directory.ts'
import { readLife } from './life.ts'
import { connectToProduction, readServerState, type ServerState } from './production.ts'

/** A connection to the server that runs on a data directory; the caller ends it. */
export interface OwnServer {
  readonly connection: Client
  readonly state: ServerState
}

/**
 * Through the socket that postmaster.pid names. `unreachable` while no server runs there or accepts
 * connections, `unusable` when it refuses, `refused` when another server has the socket.
 *
 * @param pguser otherwise the operating system user's name
 */
export async function connectToOwnServer(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
): Promise<OwnServer> {
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
    return { connection, state }
  } catch (thrown) {
    await endConnection(connection)
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

/** For a server to hear that the connection ends, in milliseconds. */
const farewell = 500

/** A server that hangs is not waited for: what is asked rejects. */
export async function endConnection(client: Client): Promise<void> {
  const ended = client.end().catch(() => {})
  await Promise.race([ended, sleep(farewell)])
  // pg has no public way to drop a connection whose server does not answer.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
