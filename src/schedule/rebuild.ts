import type { Schedule } from './connect.ts'
import { nobody } from './members.ts'

/** A stored file that was found on a path, by its trailer. */
export interface FoundFile {
  readonly fingerprint: string
  readonly walName: string
  /** Of the uncompressed file. */
  readonly sha256: string
  readonly walSize: number
  readonly storedBytes: number
  /** The whole file, for timeline history files only. */
  readonly history: Buffer | null
}

/** One that has other content than the scheduling database has for its name. */
export interface FoundConflict {
  readonly fingerprint: string
  readonly walName: string
  readonly sha256: string
  readonly claimedSha256: string
}

/** Which cluster a directory on the paths belongs to. */
export interface FoundCluster {
  readonly fingerprint: string
  readonly name: string
  readonly systemIdentifier: string
  readonly walSegmentSize: number
}

/** The names of those files that are recorded on the path, with this size. */
export async function recordedFiles(
  schedule: Schedule,
  pathId: number,
  fingerprint: string,
  files: readonly { readonly walName: string; readonly storedBytes: number }[],
): Promise<Set<string>> {
  const rows = await schedule.query<{ walName: string }>(
    `select c.wal_name as "walName"
     from jsonb_to_recordset($3::jsonb) as g ("walName" text, "storedBytes" bigint)
     join pgarch.arch_copy c on c.db_id = $2 and c.wal_name = g."walName" and c.path_id = $1
                            and c.stored_bytes = g."storedBytes"
     join pgarch.arch_file f on f.db_id = c.db_id and f.wal_name = c.wal_name`,
    [pathId, fingerprint, JSON.stringify(files)],
  )
  return new Set(rows.map(({ walName }) => walName))
}

/**
 * Records what a path was found to hold: the content, where none is known under the name, and the
 * copy. Other content than is known is noted as a conflict, and no copy; unless it is a backup history
 * file that a crash emptied, or the known one is. Can be repeated.
 */
export async function recordFound(
  schedule: Schedule,
  pathId: number,
  files: readonly FoundFile[],
): Promise<FoundConflict[]> {
  const given = JSON.stringify(
    files.map(({ history, ...file }) => ({
      ...file,
      history: history?.toString('base64') ?? null,
    })),
  )
  await schedule.query(
    `insert into pgarch.arch_file
       (db_id, wal_name, sha256, wal_size_bytes, history, member_id)
     select g.fingerprint, g."walName", decode(g.sha256, 'hex'), g."walSize",
            decode(g.history, 'base64'), $2
     from jsonb_to_recordset($1::jsonb)
       as g (fingerprint uuid, "walName" text, sha256 text, "walSize" bigint, history text)
     order by g.fingerprint, g."walName" collate "C"
     on conflict (db_id, wal_name) do nothing`,
    [given, nobody],
  )
  // A statement and so a snapshot of its own: it sees what others claimed meanwhile.
  return await schedule.query<FoundConflict>(
    `with judged as (
       select g.fingerprint, g."walName", g.sha256, g."storedBytes", f.sha256 as claimed,
              f.sha256 = decode(g.sha256, 'hex') as same
       from jsonb_to_recordset($1::jsonb)
         as g (fingerprint uuid, "walName" text, sha256 text, "storedBytes" bigint,
               "walSize" bigint)
       join pgarch.arch_file f on f.db_id = g.fingerprint and f.wal_name = g."walName"
       -- One of two backup history files that a crash emptied is in nobody's way.
       where f.sha256 = decode(g.sha256, 'hex')
          or not (g."walName" like '%.backup' and 0 in (g."walSize", f.wal_size_bytes))
     ), copied as (
       insert into pgarch.arch_copy as c (db_id, wal_name, path_id, stored_bytes)
       select fingerprint, "walName", $2, "storedBytes" from judged where same
       order by fingerprint, "walName" collate "C"
       on conflict (db_id, wal_name, path_id) where path_id is not null
       do update set stored_bytes = excluded.stored_bytes
         where c.stored_bytes is distinct from excluded.stored_bytes
     ), noted as (
       insert into pgarch.arch_conflict as k (db_id, wal_name, sha256, path_id, member_id)
       select fingerprint, "walName", claimed, $2, $3 from judged where not same
       on conflict (db_id, wal_name, (coalesce(sha256, ''::bytea)), (coalesce(path_id, 0)))
         where resolved_time is null
       do update set last_seen = now(), times = k.times + 1
     )
     select fingerprint, "walName", sha256, encode(claimed, 'hex') as "claimedSha256"
     from judged where not same order by fingerprint, "walName"`,
    [given, pathId, nobody],
  )
}

/**
 * Makes a cluster again that only the paths know, under its old fingerprint. All paths are in its
 * route, so that no file is called absent that any of them could have; but none is active: people
 * decide where its archiving goes on. The route's version is as after a load.
 */
export async function recreateCluster(schedule: Schedule, cluster: FoundCluster): Promise<void> {
  await schedule.query(
    `with created as (
       insert into pgarch.arch_db_info
         (id, name, system_identifier, wal_segment_size, route_version)
       values ($1, $2, $3, $4, extract(epoch from now())) returning id
     )
     insert into pgarch.arch_path_map (db_id, path_id, priority, active_status)
     select created.id, p.id, 0, false
     from created, pgarch.arch_path_info p where p.lost_time is null`,
    [cluster.fingerprint, cluster.name, cluster.systemIdentifier, cluster.walSegmentSize],
  )
}
