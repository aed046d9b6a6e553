import { PgarchError } from '../errors.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { connectToOwnServer, endConnection, type OwnServer } from '../postgres/own-server.ts'

/** Connects to the server that runs on the data directory, for `use`; not at all when `offline`. */
export async function withProduction(
  { offline, pguser }: { readonly offline: boolean; readonly pguser: string | undefined },
  dataDirectory: DataDirectory,
  use: (production: OwnServer | undefined) => Promise<void>,
): Promise<void> {
  if (offline) {
    await use(undefined)
    return
  }
  const production = await connectToOwnServer(dataDirectory, pguser).catch((thrown) => {
    if (!(thrown instanceof PgarchError) || thrown.failure !== 'unreachable') throw thrown
    throw new PgarchError('unusable', thrown.message, {
      hint: 'Start the server, or add --offline: the fingerprint then follows when it is registered again.',
      cause: thrown,
    })
  })
  try {
    await use(production)
  } finally {
    await endConnection(production.connection)
  }
}
