import type { Schedule } from './connect.ts'

/** How archiving to one path goes, over all clusters, and what was found there. */
export interface PathHealth {
  readonly id: number
  readonly name: string
  readonly kind: 'sftp' | 'local'
  /** False: disabled. */
  readonly active: boolean
  readonly lostTime: Date | null
  /** That have it in their route, active there, and are not retired. */
  readonly clusters: number
  /** What lies there, as far as it is recorded; bytes. */
  readonly files: number
  readonly storedBytes: number
  /** What it is meant to hold, bytes; null: nobody said. */
  readonly capacityBytes: number | null
  /** What push leaves free, bytes. */
  readonly reserveBytes: number
  /** A file was stored there last; null: never. */
  readonly lastStoredTime: Date | null
  /** A try failed there last, and why; null: never. */
  readonly lastFailureTime: Date | null
  readonly lastError: string | null
  /** Of those, whose last try there failed, within a day. */
  readonly failingClusters: number
  /** Somebody looked last, and found this wrong; null: never, or nothing. */
  readonly probeTime: Date | null
  readonly probeError: string | null
  /** Of its file system, as it told last, without what only root may write; bytes. null: it never did. */
  readonly freeBytes: number | null
  readonly sizeBytes: number | null
  readonly spaceTime: Date | null
  /** What was stored there after that, without what was removed; bytes. */
  readonly storedSince: number | null
  /** When this was so, by the scheduling database's clock. */
  readonly asOf: Date
}

/** Of one path, also a lost one; or of all, lost ones last. */
export function queryPathHealth(schedule: Schedule, id: number | null): Promise<PathHealth[]> {
  return schedule.query<PathHealth>(
    `select p.id, p.name, p.kind, p.active_status as active, p.lost_time as "lostTime",
            coalesce(m.clusters, 0) as clusters, coalesce(u.files, 0) as files,
            coalesce(u.stored_bytes, 0)::bigint as "storedBytes",
            p.capacity_bytes as "capacityBytes", p.reserve_bytes as "reserveBytes",
            s.last_stored_time as "lastStoredTime", s.last_failure_time as "lastFailureTime",
            s.last_error as "lastError", coalesce(s.failing, 0) as "failingClusters",
            b.probe_time as "probeTime", b.error as "probeError", b.free_bytes as "freeBytes",
            b.size_bytes as "sizeBytes",
            case when b.free_bytes is not null then b.space_time end as "spaceTime",
            case when b.free_bytes is not null
                 then (coalesce(u.stored_bytes, 0) - b.space_stored_bytes)::bigint
            end as "storedSince", now() as "asOf"
     from pgarch.arch_path_info p
     left join pgarch.arch_path_probe b on b.path_id = p.id
     left join (select m.path_id, count(*) as clusters
                from pgarch.arch_path_map m join pgarch.arch_db_info d on d.id = m.db_id
                where m.active_status and d.active_status and ($1::int is null or m.path_id = $1)
                group by m.path_id) m on m.path_id = p.id
     left join (select path_id, sum(files)::bigint as files, sum(stored_bytes) as stored_bytes
                from pgarch.arch_path_use where $1::int is null or path_id = $1
                group by path_id) u on u.path_id = p.id
     left join (select t.path_id, max(t.last_stored_time) as last_stored_time,
                       max(t.last_failure_time) as last_failure_time,
                       (array_agg(t.last_error order by t.last_failure_time desc)
                          filter (where t.last_failure_time is not null))[1] as last_error,
                       count(*) filter (where t.failures > 0 and d.active_status
                         and t.last_failure_time > now() - interval '1 day'
                         and exists (select from pgarch.arch_path_map m
                                     where m.db_id = t.db_id and m.path_id = t.path_id
                                       and m.active_status)) as failing
                from pgarch.arch_path_status t join pgarch.arch_db_info d on d.id = t.db_id
                where $1::int is null or t.path_id = $1
                group by t.path_id) s on s.path_id = p.id
     where $1::int is null or p.id = $1
     order by p.lost_time is not null, p.name, p.id`,
    [id],
  )
}

/** What its file system told last, less what was stored since; bytes. Others may use it, too. */
export function freeNow({ freeBytes, sizeBytes, storedSince }: PathHealth): number | undefined {
  if (freeBytes === null) return undefined
  const most = sizeBytes ?? Number.POSITIVE_INFINITY
  return Math.min(Math.max(freeBytes - (storedSince ?? 0), 0), most)
}

/** The scheduling database's own health. */
export interface DatabaseHealth {
  /** Such as 150018. */
  readonly serverVersion: number
  readonly schemaVersion: number
  /** Bytes. */
  readonly size: number
  /** Of the whole server, and how many are not kept for superusers. */
  readonly connections: number
  readonly connectionLimit: number
  /** Months, such as `2026_11`, of which the log should have a partition and has none. */
  readonly missingPartitions: readonly string[]
  /** There are rows in the log's default partition. */
  readonly hasStrayLog: boolean
  /** How long the oldest transaction runs, seconds; null: none, or this role may not see them. */
  readonly oldestTransaction: number | null
  /** Whether this role sees the transactions and replication of others, as a member of pg_monitor does. */
  readonly seesAll: boolean
  /** What a standby has not replayed is at most so old, seconds; NaN: nobody can tell. null: it is a primary. */
  readonly replayLag: number | null
  /** Standbys that are connected, and how far the last of them is behind, seconds; null: not seen. */
  readonly standbys: number | null
  readonly standbyLag: number | null
  /** When this was so, by its own clock. */
  readonly asOf: Date
}

/** A standby that is connected to an idle primary has replayed all: then its lag is 0. */
export async function queryDatabaseHealth(schedule: Schedule): Promise<DatabaseHealth> {
  const [health] = await schedule.query<DatabaseHealth>(
    `with month as (
       select to_char(now() at time zone 'UTC' + n * interval '1 month', 'YYYY_MM') as name
       from generate_series(0, 1) n
     ), sight as (
       select pg_has_role('pg_read_all_stats', 'usage') as is_clear
     )
     select current_setting('server_version_num')::int as "serverVersion",
            (select version from pgarch.schema_version()) as "schemaVersion",
            pg_database_size(current_database()) as size,
            (select sum(numbackends)::int from pg_stat_database) as connections,
            current_setting('max_connections')::int
              - current_setting('superuser_reserved_connections')::int
              - coalesce(current_setting('reserved_connections', true), '0')::int
              as "connectionLimit",
            array(select m.name from month m
                  where to_regclass('pgarch.arch_remote_log_' || m.name) is null
                  order by 1) as "missingPartitions",
            exists (select from pgarch.arch_remote_log_default) as "hasStrayLog",
            s.is_clear as "seesAll",
            case when s.is_clear then
              (select extract(epoch from max(now() - a.xact_start))::float8
               from pg_stat_activity a
               where a.datname = current_database() and a.pid <> pg_backend_pid())
            end as "oldestTransaction",
            case when pg_is_in_recovery() then
              case when exists (select from pg_stat_wal_receiver)
                     and pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
                   else coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp())::float8,
                                 'NaN') end
            end as "replayLag",
            case when s.is_clear then (select count(*) from pg_stat_replication) end as standbys,
            case when s.is_clear then
              (select extract(epoch from max(r.replay_lag))::float8 from pg_stat_replication r)
            end as "standbyLag",
            now() as "asOf"
     from sight s`,
  )
  return health as DatabaseHealth
}
