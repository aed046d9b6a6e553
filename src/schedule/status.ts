import type { Schedule } from './connect.ts'
import type { Switch } from './types.ts'

/** How the archiving of one cluster goes. */
export interface ClusterStatus {
  readonly fingerprint: string
  readonly name: string
  readonly active: boolean
  readonly switch: Switch
  readonly switchReason: string | null
  readonly switchAuthor: string | null
  readonly switchTime: Date | null
  /** In the order in which a push tries them; those that are not active too. */
  readonly route: readonly { path: string; priority: number; active: boolean }[]
  /** The WAL file that was stored last; null: none yet. */
  readonly lastWalName: string | null
  readonly lastArchivedTime: Date | null
  /** Tries to store a file that failed since the last one that succeeded. */
  readonly failures: number
  readonly lastFailureTime: Date | null
  readonly lastError: string | null
  readonly openConflicts: number
  /** WAL files dropped on purpose, ever. */
  readonly droppedFiles: number
  /** WAL files that are nowhere but on paths, and in local archives, that were declared lost. */
  readonly lostFiles: number
  /** WAL files that are in a member's local archive, without those that were declared lost. */
  readonly localFiles: number
  /** Bytes. */
  readonly walSegmentSize: number
  /** What its shipper told last; null: it never had one. */
  readonly shipping: ShippingStatus | null
  /** What "pgarch cleanup" removed, path by path: files ever, and the first segment kept at last. */
  readonly cleanups: readonly {
    path: string
    host: string
    files: number
    keptFrom: string
    time: Date
  }[]
  readonly members: readonly { host: string; lastSeen: Date | null }[]
}

/** See docs/ship.md. */
export interface ShippingStatus {
  readonly host: string
  /** The path's name; null: none yet, or it is no more. */
  readonly path: string | null
  readonly timeline: number
  /** LSNs; null: nothing yet. */
  readonly shippedLsn: string | null
  readonly flushLsn: string | null
  /** When all was shipped, or shipping began. */
  readonly caughtUpTime: Date
  readonly toldTime: Date
  /** The shipper has ended by itself. */
  readonly ended: boolean
}

/** Of one cluster, also a retired one; or of all that are not retired. */
export async function queryStatus(
  schedule: Schedule,
  fingerprint: string | null,
): Promise<ClusterStatus[]> {
  const rows = await schedule.query<ClusterStatus>(
    `select d.id as fingerprint, d.name, d.active_status as active, d.switch,
            d.switch_reason as "switchReason", d.switch_author as "switchAuthor",
            d.switch_time as "switchTime",
            (select coalesce(json_agg(json_build_object('path', p.name, 'priority', m.priority,
                      'active', m.active_status and p.active_status and p.lost_time is null)
                      order by m.priority desc, p.id), '[]')
             from pgarch.arch_path_map m join pgarch.arch_path_info p on p.id = m.path_id
             where m.db_id = d.id) as route,
            s.last_wal_name as "lastWalName", s.last_archived_time as "lastArchivedTime",
            coalesce(s.failures, 0) as failures, s.last_failure_time as "lastFailureTime",
            s.last_error as "lastError",
            (select count(*) from pgarch.arch_conflict k
             where k.db_id = d.id and k.resolved_time is null) as "openConflicts",
            (select count(*) from pgarch.arch_gap g where g.db_id = d.id) as "droppedFiles",
            (select count(distinct c.wal_name)
             from (select c.wal_name
                   from pgarch.arch_path_info p
                   join pgarch.arch_copy c on c.path_id = p.id and c.db_id = d.id
                   where p.lost_time is not null
                   union all
                   select c.wal_name
                   from pgarch.arch_local_loss l
                   join pgarch.arch_copy c on c.member_id = l.member_id and c.db_id = d.id
                   where l.db_id = d.id and l.lost_time >= c.create_time) c
             where not exists (select from pgarch.living_copy o
                               where o.db_id = d.id and o.wal_name = c.wal_name)
            ) as "lostFiles",
            (select count(*) from pgarch.living_copy c
             where c.db_id = d.id and c.member_id is not null) as "localFiles",
            d.wal_segment_size as "walSegmentSize",
            (select json_build_object('host', coalesce(m.host, h.member_id::text), 'path', p.name,
                      'timeline', h.timeline, 'shippedLsn', h.shipped_lsn, 'flushLsn', h.flush_lsn,
                      'caughtUpTime', h.caught_up_time, 'toldTime', h.told_time,
                      'ended', h.lease_end is null)
             from pgarch.arch_shipping h
             left join pgarch.arch_member m on m.id = h.member_id
             left join pgarch.arch_path_info p on p.id = h.path_id
             where h.db_id = d.id) as shipping,
            (select coalesce(json_agg(json_build_object(
                      'path', coalesce(p.name, 'number ' || k.path_id),
                      'host', coalesce(m.host, k.member_id::text), 'files', k.files,
                      'keptFrom', k.kept_from, 'time', k.clean_time) order by k.path_id), '[]')
             from pgarch.arch_cleanup k left join pgarch.arch_path_info p on p.id = k.path_id
             left join pgarch.arch_member m on m.id = k.member_id
             where k.db_id = d.id) as cleanups,
            (select coalesce(json_agg(json_build_object('host', m.host, 'lastSeen', m.last_seen)
                                      order by m.host, m.enrolled), '[]')
             from pgarch.arch_member m where m.db_id = d.id) as members
     from pgarch.arch_db_info d left join pgarch.arch_db_status s on s.db_id = d.id
     where case when $1::uuid is null then d.active_status else d.id = $1 end
     order by d.name`,
    [fingerprint],
  )
  return rows.map((row) => ({
    ...row,
    shipping: row.shipping && withDates(row.shipping),
    cleanups: row.cleanups.map((one) => ({ ...one, time: new Date(one.time) })),
    members: row.members.map(withDate),
  }))
}

function withDates(shipping: ShippingStatus): ShippingStatus {
  const { caughtUpTime, toldTime } = shipping
  return {
    ...shipping,
    caughtUpTime: new Date(caughtUpTime),
    toldTime: new Date(toldTime),
  }
}

/** Times inside json come as text. */
function withDate({ host, lastSeen }: { host: string; lastSeen: Date | string | null }) {
  return { host, lastSeen: lastSeen === null ? null : new Date(lastSeen) }
}
