import { parseLsn } from '../wal/lsn.ts'
import { ask, type Connection } from './production.ts'

export interface Replay {
  /** End of the last record that was replayed; undefined: none yet. */
  readonly lsn: bigint | undefined
  /** When the last transaction that was replayed was committed; null: none was. */
  readonly time: Date | null
}

/** How far a server in recovery has replayed. */
export async function readReplay(connection: Connection): Promise<Replay> {
  const [row] = await ask(
    connection,
    'read how far the server has replayed',
    `select pg_last_wal_replay_lsn()::text as lsn, pg_last_xact_replay_timestamp() as time`,
  )
  return { lsn: parseLsn(String(row?.lsn)), time: (row?.time as Date | null) ?? null }
}

/** Asks a standby to become a primary, and does not wait. `unusable` when the role may not. */
export async function promote(connection: Connection): Promise<void> {
  await ask(connection, 'promote the server', 'select pg_promote(wait => false)')
}
