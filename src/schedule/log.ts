import type { Schedule } from './connect.ts'

/** A row of arch_remote_log: one try to store one WAL file on one path. */
export interface LogEntry {
  readonly time: Date
  readonly fingerprint: string
  readonly clusterName: string
  readonly walName: string
  /** null: the path was removed since. */
  readonly pathName: string | null
  /** The member's host; null: the member was removed since. */
  readonly host: string | null
  /** The stored file, on the path. */
  readonly fullPath: string | null
  readonly stored: boolean
  readonly walSize: number | null
  readonly storedBytes: number | null
  readonly durationMilliseconds: number | null
  readonly error: string | null
  /** What the host's clock said, where that was absurd; `time` is then when it was recorded. */
  readonly hostTime: Date | null
}

export interface LogFilter {
  /** null: of all clusters. */
  readonly fingerprint: string | null
  readonly failedOnly: boolean
  /** null: from the beginning. */
  readonly since: Date | null
  /** At most so many entries. */
  readonly limit: number
}

/** The newest first. */
export function queryLog(schedule: Schedule, filter: LogFilter): Promise<LogEntry[]> {
  const conditions = [
    '(l.create_time >= $1 or $1::timestamptz is null)',
    ...(filter.failedOnly ? ['not l.status'] : []),
    ...(filter.fingerprint === null ? [] : ['l.db_id = $3']),
  ]
  const cluster = filter.fingerprint === null ? [] : [filter.fingerprint]
  return schedule.query<LogEntry>(
    `select l.create_time as time, l.db_id as fingerprint, d.name as "clusterName",
            l.wal_name as "walName", p.name as "pathName", m.host, l.full_path as "fullPath",
            l.status as stored, l.wal_size_bytes as "walSize", l.stored_bytes as "storedBytes",
            extract(epoch from l.duration)::float8 * 1000 as "durationMilliseconds",
            l.error, l.host_time as "hostTime"
     from (select l.* from pgarch.arch_remote_log l
           where ${conditions.join(' and ')}
           order by l.create_time desc, l.event_id limit $2) l
     join pgarch.arch_db_info d on d.id = l.db_id
     left join pgarch.arch_path_info p on p.id = l.path_id
     left join pgarch.arch_member m on m.id = l.member_id
     order by l.create_time desc, l.event_id`,
    [filter.since, filter.limit, ...cluster],
  )
}
