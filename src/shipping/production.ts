import type { Client } from 'pg'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { connectToOwnServer, endConnection } from '../postgres/own-server.ts'
import { ask } from '../postgres/production.ts'
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

/** @param pguser otherwise the operating system user's name */
export function openProduction(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
): Production {
  let connection: Client | undefined

  async function close(): Promise<void> {
    const one = connection
    connection = undefined
    if (one !== undefined) await endConnection(one)
  }

  return {
    async position() {
      connection ??= (await connectToOwnServer(dataDirectory, pguser)).connection
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
