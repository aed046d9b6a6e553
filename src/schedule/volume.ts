import type { Schedule } from './connect.ts'

/** What went to a path, and was taken from it, since midnight (UTC). */
export interface PathVolume {
  /** The path's name. */
  readonly path: string
  /** That were stored; bytes before and after compression, and how long it took. */
  readonly files: number
  readonly walBytes: number
  readonly storedBytes: number
  readonly seconds: number
  /** Tries that failed. */
  readonly failures: number
  readonly removedFiles: number
  readonly removedBytes: number
}

/** Of all paths that are not lost, by name; of all clusters together, retired ones too: no sum shrinks. */
export function queryVolumeToday(schedule: Schedule): Promise<PathVolume[]> {
  return schedule.query<PathVolume>(
    `select p.name as path, coalesce(d.files, 0)::bigint as files,
            coalesce(d.wal_bytes, 0)::bigint as "walBytes",
            coalesce(d.stored_bytes, 0)::bigint as "storedBytes",
            coalesce(extract(epoch from d.duration), 0)::float8 as seconds,
            coalesce(d.failures, 0)::bigint as failures,
            coalesce(r.files, 0)::bigint as "removedFiles",
            coalesce(r.stored_bytes, 0)::bigint as "removedBytes"
     from pgarch.arch_path_info p
     left join (select path_id, sum(files) as files, sum(wal_bytes) as wal_bytes,
                       sum(stored_bytes) as stored_bytes, sum(duration) as duration,
                       sum(failures) as failures
                from pgarch.arch_daily where day = (now() at time zone 'UTC')::date
                group by path_id) d on d.path_id = p.id
     left join (select path_id, sum(files) as files, sum(stored_bytes) as stored_bytes
                from pgarch.arch_daily_removed where day = (now() at time zone 'UTC')::date
                group by path_id) r on r.path_id = p.id
     where p.lost_time is null
     order by p.name`,
  )
}
