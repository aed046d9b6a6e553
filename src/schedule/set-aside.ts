import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'

/** Where a stored file lies now. */
export interface AsideCopy {
  /** The path's name. */
  readonly path: string
  /** Below its root. */
  readonly file: string
}

/** Content that gives way to other content under its name. */
export interface SetAside {
  readonly fingerprint: string
  readonly walName: string
  /** 64 lower-case hex digits. */
  readonly sha256: string
  /** Bytes; null: it was refused, and is stored nowhere. */
  readonly walSize: number | null
  /** uuid of the member that archived it, or tried to; null: nobody knows. */
  readonly memberId: string | null
  readonly author: string
  readonly reason: string
}

/** One that was begun and not finished: its content is decided, its files may be renamed in part. */
export interface UnfinishedSetAside {
  readonly id: number
  readonly sha256: string
}

export async function findUnfinishedSetAside(
  schedule: Schedule,
  fingerprint: string,
  walName: string,
): Promise<UnfinishedSetAside | undefined> {
  const [found] = await schedule.query<UnfinishedSetAside>(
    `select id, encode(sha256, 'hex') as sha256 from pgarch.arch_set_aside
     where db_id = $1 and wal_name = $2 and finished_time is null`,
    [fingerprint, walName],
  )
  return found
}

/** Notes what is about to be renamed. `refused` while another one of the file is not finished. */
export async function beginSetAside(schedule: Schedule, given: SetAside): Promise<number> {
  const { fingerprint, walName, sha256, walSize, memberId, author, reason } = given
  const [begun] = await schedule.query<{ id: number }>(
    `insert into pgarch.arch_set_aside
       (db_id, wal_name, sha256, wal_size_bytes, member_id, author, reason)
     values ($1, $2, decode($3, 'hex'), $4, $5, $6, $7)
     on conflict (db_id, wal_name) where finished_time is null do nothing returning id`,
    [fingerprint, walName, sha256, walSize, memberId, author, reason],
  )
  if (begun !== undefined) return begun.id
  throw new PgarchError('refused', `"${walName}" is being set aside by somebody else`, {
    hint: 'If that was given up, repeat the same command: it goes on from there.',
  })
}

/** Content that stayed, and is the archived one from now on. */
export interface Successor {
  readonly sha256: string
  readonly walSize: number
  /** A timeline history file's bytes. */
  readonly history: Buffer | null
  /** uuid; null: nobody knows. */
  readonly memberId: string | null
  /** Ids of the paths that hold it. */
  readonly pathIds: readonly number[]
}

/**
 * Finishes one, in a transaction of the caller's: where the content was the claimed one, it is no longer,
 * nor is any path said to have it; what stayed on paths is claimed instead. Open conflicts that this
 * settles are resolved: all of the file where the claim went, else those with the content, and those
 * met on the paths where it lay.
 */
export async function finishSetAside(
  schedule: Schedule,
  id: number,
  outcome: {
    readonly copies: readonly AsideCopy[]
    readonly pathIds: readonly number[]
    readonly successor: Successor | null
  },
): Promise<void> {
  const { copies, pathIds, successor } = outcome
  await schedule.query(
    `with done as (
       update pgarch.arch_set_aside set copies = $2, finished_time = now() where id = $1 returning *
     ), unclaimed as (
       delete from pgarch.arch_file f using done
       where f.db_id = done.db_id and f.wal_name = done.wal_name and f.sha256 = done.sha256
       returning f.wal_name
     ), forgotten as (
       delete from pgarch.arch_copy c using done
       where c.db_id = done.db_id and c.wal_name = done.wal_name and c.path_id is not null
         and (c.path_id = any ($3) or exists (select from unclaimed))
     )
     update pgarch.arch_conflict k
     set resolved_time = now(), resolved_by = done.author, reason = done.reason
     from done
     where k.db_id = done.db_id and k.wal_name = done.wal_name and k.resolved_time is null
       and (exists (select from unclaimed) or k.sha256 = done.sha256 or k.path_id = any ($3))`,
    [id, JSON.stringify(copies), pathIds],
  )
  if (successor === null) return
  const { sha256, walSize, history, memberId } = successor
  await schedule.query(
    `insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, history, member_id)
     select db_id, wal_name, decode($2, 'hex'), $3, $4,
            coalesce($5::uuid, '00000000-0000-0000-0000-000000000000')
     from pgarch.arch_set_aside where id = $1
     on conflict (db_id, wal_name) do nothing`,
    [id, sha256, walSize, history, memberId],
  )
  await schedule.query(
    `insert into pgarch.arch_copy (db_id, wal_name, path_id)
     select db_id, wal_name, path_id
     from pgarch.arch_set_aside, unnest($2::int[]) as path_id where id = $1
     on conflict (db_id, wal_name, path_id) where path_id is not null do nothing`,
    [id, successor.pathIds],
  )
}

/** What was set aside after a time, and so not on a path that was lost then. */
export function listSetAsideSince(
  schedule: Schedule,
  time: Date,
): Promise<{ id: number; fingerprint: string; walName: string; sha256: string }[]> {
  return schedule.query(
    `select id, db_id as fingerprint, wal_name as "walName", encode(sha256, 'hex') as sha256
     from pgarch.arch_set_aside where finished_time >= $1 order by id`,
    [time],
  )
}

/** Adds a place where the content lies aside. */
export async function noteSetAsideCopy(
  schedule: Schedule,
  id: number,
  copy: AsideCopy,
): Promise<void> {
  await schedule.query(
    'update pgarch.arch_set_aside set copies = copies || $2::jsonb where id = $1',
    [id, JSON.stringify([copy])],
  )
}
