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
  // In the order in which deliver takes its rows, so that neither waits for the other for ever: what is
  // claimed, copies and their sums, conflicts.
  const unclaimed = await schedule.query(
    `with done as (
       update pgarch.arch_set_aside set copies = $2, finished_time = now() where id = $1 returning *
     )
     delete from pgarch.arch_file f using done
     where f.db_id = done.db_id and f.wal_name = done.wal_name and f.sha256 = done.sha256
     returning f.wal_name`,
    [id, JSON.stringify(copies)],
  )
  const isUnclaimed = unclaimed.length > 0
  if (successor !== null) await claimFor(schedule, id, successor)
  await forgetCopies(schedule, id, isUnclaimed ? null : pathIds)
  if (successor !== null) await noteCopies(schedule, id, successor)
  await schedule.query(
    `update pgarch.arch_conflict k
     set resolved_time = now(), resolved_by = done.author, reason = done.reason
     from pgarch.arch_set_aside done
     where done.id = $1 and k.db_id = done.db_id and k.wal_name = done.wal_name
       and k.resolved_time is null and ($3 or k.sha256 = done.sha256 or k.path_id = any ($2))`,
    [id, pathIds, isUnclaimed],
  )
}

async function claimFor(
  schedule: Schedule,
  id: number,
  { sha256, walSize, history, memberId }: Successor,
): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, history, member_id)
     select db_id, wal_name, decode($2, 'hex'), $3, $4,
            coalesce($5::uuid, '00000000-0000-0000-0000-000000000000')
     from pgarch.arch_set_aside where id = $1
     on conflict (db_id, wal_name) do nothing`,
    [id, sha256, walSize, history, memberId],
  )
}

/** @param pathIds null: on all paths */
async function forgetCopies(
  schedule: Schedule,
  id: number,
  pathIds: readonly number[] | null,
): Promise<void> {
  await schedule.query(
    `with gone as (
       select c.db_id, c.wal_name, c.path_id
       from pgarch.arch_copy c join pgarch.arch_set_aside done using (db_id, wal_name)
       where done.id = $1 and c.path_id is not null and ($2::int[] is null or c.path_id = any ($2))
       order by c.path_id for update of c
     )
     delete from pgarch.arch_copy c using gone
     where c.db_id = gone.db_id and c.wal_name = gone.wal_name and c.path_id = gone.path_id`,
    [id, pathIds],
  )
}

async function noteCopies(schedule: Schedule, id: number, { pathIds }: Successor): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_copy (db_id, wal_name, path_id)
     select db_id, wal_name, path_id
     from pgarch.arch_set_aside, unnest($2::int[]) as path_id where id = $1
     order by path_id
     on conflict (db_id, wal_name, path_id) where path_id is not null do nothing`,
    [id, pathIds],
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
