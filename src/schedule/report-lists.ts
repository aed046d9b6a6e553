import type { Schedule } from './connect.ts'
import { longestList, type Period } from './report.ts'

/** The first `longestList` of so many. */
export interface Listed<Entry> {
  readonly total: number
  readonly entries: readonly Entry[]
}

/** Tries that failed in the period. */
export interface ClusterFailures {
  readonly cluster: string
  readonly path: string
  readonly failures: number
  /** Since the last try that succeeded; 0: it goes again. */
  readonly failuresNow: number
  readonly lastFailureTime: Date | null
  readonly lastError: string | null
}

/** Of a cluster at a path; the most first. */
export function queryClusterFailures(
  schedule: Schedule,
  { since, until }: Period,
): Promise<Listed<ClusterFailures>> {
  return listed(
    schedule,
    `select d.name as cluster, coalesce(p.name, 'number ' || f.path_id) as path, f.failures,
            coalesce(u.failures, 0) as "failuresNow", u.last_failure_time as "lastFailureTime",
            u.last_error as "lastError", f.total
     from (select db_id, path_id, sum(failures)::bigint as failures, count(*) over () as total
           from pgarch.arch_daily
           where day between $2::date and $3::date and failures > 0
           group by db_id, path_id
           order by failures desc, db_id, path_id limit $1) f
     join pgarch.arch_db_info d on d.id = f.db_id
     left join pgarch.arch_path_info p on p.id = f.path_id
     left join pgarch.arch_path_status u on u.db_id = f.db_id and u.path_id = f.path_id
     order by f.failures desc, d.name, p.name`,
    [since, until],
  )
}

/** What lies on no path yet. */
export interface LocalArchive {
  readonly cluster: string
  readonly host: string
  readonly files: number
  readonly storedBytes: number
  readonly oldestTime: Date
}

/** Without those that were declared lost; the oldest first. */
export function queryLocalArchives(schedule: Schedule): Promise<Listed<LocalArchive>> {
  return listed(
    schedule,
    `select d.name as cluster, coalesce(m.host, c.member_id::text) as host, c.files,
            c.stored_bytes as "storedBytes", c.oldest_time as "oldestTime", c.total
     from (select c.db_id, c.member_id, count(*) as files,
                  coalesce(sum(c.stored_bytes), 0)::bigint as stored_bytes,
                  min(c.create_time) as oldest_time, count(*) over () as total
           from pgarch.arch_copy c
           where c.member_id is not null
             and not exists (select from pgarch.arch_local_loss l
                             where l.db_id = c.db_id and l.member_id = c.member_id
                               and l.lost_time >= c.create_time)
           group by c.db_id, c.member_id
           order by oldest_time, c.db_id limit $1) c
     join pgarch.arch_db_info d on d.id = c.db_id
     left join pgarch.arch_member m on m.id = c.member_id
     order by c.oldest_time, d.name`,
  )
}

/** Other content was refused, and nobody has settled it. */
export interface OpenConflict {
  readonly cluster: string
  readonly walName: string
  /** null: it was met before a path was tried. */
  readonly path: string | null
  readonly host: string
  readonly times: number
  readonly firstSeen: Date
  readonly lastSeen: Date
}

/** The oldest first. */
export function queryOpenConflicts(schedule: Schedule): Promise<Listed<OpenConflict>> {
  return listed(
    schedule,
    `select d.name as cluster, k.wal_name as "walName",
            case when k.path_id is not null
                 then coalesce(p.name, 'number ' || k.path_id) end as path,
            coalesce(m.host, k.member_id::text) as host, k.times, k.first_seen as "firstSeen",
            k.last_seen as "lastSeen", count(*) over () as total
     from pgarch.arch_conflict k
     join pgarch.arch_db_info d on d.id = k.db_id
     left join pgarch.arch_path_info p on p.id = k.path_id
     left join pgarch.arch_member m on m.id = k.member_id
     where k.resolved_time is null
     order by k.first_seen, k.id limit $1`,
  )
}

/** How long storing took, per file and at most, milliseconds. */
export interface Slow {
  readonly cluster: string
  readonly path: string
  readonly files: number
  readonly averageMilliseconds: number
  readonly longestMilliseconds: number
}

/** By what a file took on average, the slowest first. */
export function querySlowest(schedule: Schedule, { since, until }: Period): Promise<Slow[]> {
  return schedule.query<Slow>(
    `select d.name as cluster, coalesce(p.name, 'number ' || s.path_id) as path, s.files,
            extract(epoch from s.average)::float8 * 1000 as "averageMilliseconds",
            extract(epoch from s.longest)::float8 * 1000 as "longestMilliseconds"
     from (select db_id, path_id, sum(files)::bigint as files,
                  sum(duration) / sum(files)::float8 as average, max(longest) as longest
           from pgarch.arch_daily
           where day between $2::date and $3::date and files > 0
           group by db_id, path_id
           order by average desc, db_id, path_id limit $1) s
     join pgarch.arch_db_info d on d.id = s.db_id
     left join pgarch.arch_path_info p on p.id = s.path_id
     order by s.average desc, d.name, p.name`,
    [longestList, since, until],
  )
}

/** A cluster, and when it archived last; null: never. */
export interface LastArchived {
  readonly cluster: string
  readonly walName: string | null
  readonly time: Date | null
  /** What bounds the age in a server that is not idle; null: unknown; 0: off. */
  readonly archiveTimeoutSeconds: number | null
}

/** Of clusters that are to archive: those that never did, then those that have not for the longest. */
export function queryOldest(schedule: Schedule): Promise<LastArchived[]> {
  return schedule.query<LastArchived>(
    `select d.name as cluster, s.last_wal_name as "walName", s.last_archived_time as time,
            v.archive_timeout_seconds as "archiveTimeoutSeconds"
     from pgarch.arch_db_info d
     left join pgarch.arch_db_status s on s.db_id = d.id
     left join pgarch.arch_db_server v on v.db_id = d.id
     where d.active_status and d.switch = 'start'
     order by s.last_archived_time nulls first, d.name limit $1`,
    [longestList],
  )
}

/** The statement's first parameter is how many, and each row has `total`. */
async function listed<Entry>(
  schedule: Schedule,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Listed<Entry>> {
  const rows = await schedule.query<Entry & { total: number }>(sql, [longestList, ...parameters])
  return {
    total: rows[0]?.total ?? 0,
    entries: rows.map(({ total: _, ...entry }) => entry as Entry),
  }
}
