import { ask, type Connection } from './production.ts'

/** What a production cluster says of itself, in its database `postgres`. */
export interface StoredFingerprint {
  /** uuid */
  readonly fingerprint: string
  /** Bytes. */
  readonly walSegmentSize: number
  readonly createTime: Date
}

/** Undefined when there is none, or no table for it yet. */
export async function readFingerprint(
  connection: Connection,
): Promise<StoredFingerprint | undefined> {
  const purpose = 'read the fingerprint'
  const [{ exists } = {}] = await ask(
    connection,
    purpose,
    `select to_regclass('pgarch.fingerprint') is not null as exists`,
  )
  if (exists !== true) return undefined
  const [row] = await ask(
    connection,
    purpose,
    'select uuid, wal_segment_size, create_time from pgarch.fingerprint where id = 1',
  )
  if (row === undefined) return undefined
  return {
    fingerprint: String(row.uuid),
    walSegmentSize: Number(row.wal_segment_size),
    createTime: row.create_time as Date,
  }
}

/**
 * Stores the fingerprint, in place of another one if there is one, which is then of the cluster that
 * this one was copied or upgraded from. Repeating it changes nothing.
 */
export async function writeFingerprint(
  connection: Connection,
  { fingerprint, walSegmentSize }: Omit<StoredFingerprint, 'createTime'>,
): Promise<void> {
  const purpose = 'write the fingerprint'
  await ask(connection, purpose, 'create schema if not exists pgarch')
  await ask(
    connection,
    purpose,
    `create table if not exists pgarch.fingerprint (
       id int primary key default 1 check (id = 1),
       uuid uuid not null,
       wal_segment_size int not null,
       create_time timestamptz not null default now())`,
  )
  await ask(
    connection,
    purpose,
    `insert into pgarch.fingerprint as old (uuid, wal_segment_size) values ($1, $2)
     on conflict (id) do update
       set uuid = excluded.uuid, wal_segment_size = excluded.wal_segment_size, create_time = now()
     where (old.uuid, old.wal_segment_size) is distinct from (excluded.uuid, excluded.wal_segment_size)`,
    [fingerprint, walSegmentSize],
  )
}
