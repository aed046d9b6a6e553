import type { Schedule } from './connect.ts'
import type { Switch } from './types.ts'

/** Lists of what may be many are cut off here. */
export const longestList = 20

/** Growth is taken from so many whole days. */
export const growthDays = 30
/** Between two days on which something was stored or removed; after a longer one what was before says nothing. */
const longestPause = 7

/** All of a day is UTC: `2026-11-21`. */
export interface Period {
  /** The scheduling database's clock. */
  readonly time: Date
  readonly since: string
  /** Today, which is not over. */
  readonly until: string
}

/** From the UTC day of `since`, or the first one that anything is known of, through today. */
export async function queryPeriod(schedule: Schedule, since: Date): Promise<Period> {
  const [row] = await schedule.query<Period>(
    `select now() as time, today::text as until,
            least(greatest(($1::timestamptz at time zone 'UTC')::date, coalesce(first_day, today)), today)::text
              as since
     from (select (now() at time zone 'UTC')::date, (select min(day) from pgarch.arch_daily))
       as t (today, first_day)`,
    [since],
  )
  return row as Period
}

export interface ClusterCounts {
  /** By the switch; without retired clusters. */
  readonly clusters: Readonly<Record<Switch, number>>
  readonly retiredClusters: number
}

export async function queryClusterCounts(schedule: Schedule): Promise<ClusterCounts> {
  const [row] = await schedule.query<Record<Switch | 'retired', number>>(
    `select count(*) filter (where active_status and switch = 'start') as start,
            count(*) filter (where active_status and switch = 'pause') as pause,
            count(*) filter (where active_status and switch = 'stop') as stop,
            count(*) filter (where not active_status) as retired
     from pgarch.arch_db_info`,
  )
  const { retired = 0, start = 0, pause = 0, stop = 0 } = row ?? {}
  return { clusters: { start, pause, stop }, retiredClusters: retired }
}

/** What was archived in a day, whatever the path. */
export interface DayVolume {
  readonly day: string
  readonly files: number
  /** Bytes before compression, and after it. */
  readonly walBytes: number
  readonly storedBytes: number
  /** Tries. */
  readonly failures: number
}

/** Every day of the period, the first one first. */
export function queryDays(schedule: Schedule, { since, until }: Period): Promise<DayVolume[]> {
  return schedule.query<DayVolume>(
    `select d.day::date::text as day, coalesce(v.files, 0) as files,
            coalesce(v.wal_bytes, 0) as "walBytes", coalesce(v.stored_bytes, 0) as "storedBytes",
            coalesce(v.failures, 0) as failures
     from generate_series($1::date::timestamp, $2::date::timestamp, '1 day') as d (day)
     left join (select day, sum(files)::bigint as files, sum(wal_bytes)::bigint as wal_bytes,
                       sum(stored_bytes)::bigint as stored_bytes, sum(failures)::bigint as failures
                from pgarch.arch_daily where day between $1::date and $2::date group by day) v
       on v.day = d.day::date
     order by d.day`,
    [since, until],
  )
}

/** Of a path, over all clusters. */
export interface PathVolume {
  readonly id: number
  /** In the period; failures are tries. */
  readonly archivedFiles: number
  readonly failures: number
  /**
   * What it has grown by in so many whole days before today, at most `growthDays`, since something happened
   * after a longer pause than `longestPause`; that day is none of them.
   */
  readonly growth: { readonly days: number; readonly bytes: number }
}

/** Of paths at which anything was stored, tried or removed. */
export function queryPathVolumes(
  schedule: Schedule,
  { since, until }: Period,
): Promise<PathVolume[]> {
  return schedule.query<PathVolume>(
    `with told as (
       select path_id, sum(files)::bigint as files, sum(failures)::bigint as failures
       from pgarch.arch_daily where day between $1::date and $2::date group by path_id
     ), change as (
       select path_id, day, sum(stored_bytes) as bytes from pgarch.arch_daily
       where day >= $2::date - $3::int - 1 and day < $2::date and files > 0
       group by path_id, day
       union all
       select path_id, day, -sum(stored_bytes) from pgarch.arch_daily_removed
       where day >= $2::date - $3::int - 1 and day < $2::date
       group by path_id, day
     ), paused as (
       select *, (day - lag(day) over (partition by path_id order by day) > $4) is not false as resumes
       from change
     ), grown as (
       select path_id, $2::date - first_day - 1 as days,
              coalesce(sum(bytes) filter (where day > first_day), 0)::bigint as bytes
       from (select *, max(day) filter (where resumes) over (partition by path_id) as first_day
             from paused) c
       group by path_id, first_day
     )
     select path_id as id, coalesce(t.files, 0) as "archivedFiles",
            coalesce(t.failures, 0) as failures,
            json_build_object('days', coalesce(g.days, 0), 'bytes', coalesce(g.bytes, 0)) as growth
     from told t full join grown g using (path_id)`,
    [since, until, growthDays, longestPause],
  )
}
