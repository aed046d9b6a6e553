import { PgarchError } from '../errors.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { readLife } from '../postgres/life.ts'
import {
  type Connection,
  connectToProduction,
  readServerState,
  type ServerState,
} from '../postgres/production.ts'

/** A production server that was connected to. */
export interface Production {
  readonly connection: Connection
  readonly state: ServerState
}

/** Connects to the server that runs on the data directory, for `use`; not at all when `offline`. */
export async function withProduction(
  { offline, pguser }: { readonly offline: boolean; readonly pguser: string | undefined },
  dataDirectory: DataDirectory,
  use: (production: Production | undefined) => Promise<void>,
): Promise<void> {
  if (offline) {
    await use(undefined)
    return
  }
  const life = await readLife(dataDirectory.path)
  if (life?.socketDirectory === undefined) {
    throw new PgarchError('unusable', `no server runs on "${dataDirectory.path}"`, {
      hint: 'Start it, or add --offline: the fingerprint then follows when it is registered again.',
    })
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
    await use({ connection, state })
  } finally {
    await connection.end()
  }
}
