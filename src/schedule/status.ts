import type { Schedule } from './connect.ts'
import type { Switch } from './types.ts'

/** How the archiving of one cluster goes. */
export interface ClusterStatus {
  readonly fingerprint: string
  readonly name: string
  readonly active: boolean
  readonly createTime: Date
  readonly switch: Switch
  readonly switchReason: string | null
  readonly switchAuthor: string | null
  readonly switchTime: Date | null
  /** In the order in which a push tries them; those that are not active too. In brief, those that failed. */
  readonly route: readonly RoutePath[]
  readonly activePaths: number
  /** The WAL file that was stored last; null: none yet. */
  readonly lastWalName: string | null
  readonly lastArchivedTime: Date | null
  /** What its server was set to when it was registered; 0: off, null: it was not asked. */
  readonly archiveTimeoutSeconds: number | null
  /** Tries to store a file that failed since the last one that succeeded. */
  readonly failures: number
  readonly lastFailureTime: Date | null
  readonly lastError: string | null
  readonly openConflicts: number
  /** WAL files dropped on purpose, ever. */
  readonly droppedFiles: number
  readonly lastDropTime: Date | null
  /** WAL files that are nowhere but on paths, and in local archives, that were declared lost. */
  readonly lostFiles: number
  /** False: there may be more of those, as counting ended there. */
  readonly lostFilesAreCounted: boolean
  /** When the last path or local archive that had such a file was declared lost. */
  readonly lostTime: Date | null
  /** WAL files that are in a member's local archive, without those that were declared lost. */
  readonly localFiles: number
  /** When the newest of them was recorded; null: there are none. */
  readonly localTime: Date | null
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
  /** In brief, those alone that were ever late. */
  readonly members: readonly MemberStatus[]
  readonly hosts: number
  readonly hostsSeen: number
  /** When this was so, by the scheduling database's clock. */
  readonly asOf: Date
}

/** One path of a cluster's route, and how archiving there goes. */
export interface RoutePath {
  readonly path: string
  readonly priority: number
  readonly active: boolean
  /** The cluster's tries to store a file there that failed since the last one that succeeded. */
  readonly failures: number
  readonly lastFailureTime: Date | null
  readonly lastError: string | null
}

/** A host that may push for a cluster. */
export interface MemberStatus {
  readonly host: string
  readonly enrolled: Date
  /** When it last asked for its route; null: never. */
  readonly lastSeen: Date | null
  /** When it last told of something that had waited in its journal; null: never. */
  readonly lateTime: Date | null
  /** For how long that had waited. */
  readonly lateSeconds: number | null
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

/** So many lost files are looked up, one by one, on each lost path and local archive of a cluster. */
const mostLost = { ofOne: 1000, ofEach: 1 } as const

/**
 * Of one cluster, also a retired one; or of all that are not retired. No part of it grows with the
 * number of archived files: of lost ones a thousand are counted, of each cluster of a fleet none but the first.
 *
 * @param options.inBrief what is only to be shown is left out, as a large fleet has much of it
 */
export async function queryStatus(
  schedule: Schedule,
  fingerprint: string | null,
  { inBrief = false }: { readonly inBrief?: boolean } = {},
): Promise<ClusterStatus[]> {
  const most = fingerprint === null ? mostLost.ofEach : mostLost.ofOne
  const rows = await schedule.query<ClusterStatus>(statement, [fingerprint, most, inBrief])
  return rows.map((row) => ({
    ...row,
    lostFilesAreCounted: row.lostFiles < most,
    route: row.route.map((one) => withDates(one, 'lastFailureTime')),
    shipping: row.shipping && withDates(row.shipping, 'caughtUpTime', 'toldTime'),
    cleanups: row.cleanups.map((one) => withDates(one, 'time')),
    members: row.members.map((one) => withDates(one, 'enrolled', 'lastSeen', 'lateTime')),
  }))
}

/** Times inside json come as text. */
function withDates<Row extends object>(row: Row, ...names: (keyof Row)[]): Row {
  const times = names.map((name) => {
    const text = row[name] as string | null
    return [name, text === null ? null : new Date(text)]
  })
  return { ...row, ...Object.fromEntries(times) }
}

const routes = `
  select m.db_id,
         json_agg(json_build_object('path', p.name, 'priority', m.priority,
           'active', m.active_status and p.active_status and p.lost_time is null,
           'failures', coalesce(t.failures, 0), 'lastFailureTime', t.last_failure_time,
           'lastError', t.last_error) order by m.priority desc, p.id)
           filter (where not $3 or t.failures > 0) as route,
         count(*) filter (where m.active_status and p.active_status and p.lost_time is null)
           as active
  from pgarch.arch_path_map m join pgarch.arch_path_info p on p.id = m.path_id
  left join pgarch.arch_path_status t on t.db_id = m.db_id and t.path_id = m.path_id
  where $1::uuid is null or m.db_id = $1
  group by m.db_id`

const conflicts = `
  select db_id, count(*) as number from pgarch.arch_conflict
  where resolved_time is null and ($1::uuid is null or db_id = $1) group by db_id`

const gaps = `
  select db_id, count(*) as files, max(create_time) as last_time
  from pgarch.arch_gap where $1::uuid is null or db_id = $1 group by db_id`

// By the names of all that is on a lost path, or was in a lost local archive, each looked up by itself:
// a join would read all that is archived.
const losses = `
  select g.db_id, count(distinct c.wal_name) as files, max(g.lost_time) as last_time
  from (select u.db_id, u.path_id, null::uuid as member_id, p.lost_time
        from pgarch.arch_path_use u join pgarch.arch_path_info p on p.id = u.path_id
        where p.lost_time is not null and u.files > 0 and ($1::uuid is null or u.db_id = $1)
        union all
        select l.db_id, null, l.member_id, l.lost_time from pgarch.arch_local_loss l
        where $1::uuid is null or l.db_id = $1) g
  cross join lateral (
    select h.wal_name
    from (select c.wal_name from pgarch.arch_copy c
          where c.path_id = g.path_id and c.db_id = g.db_id
          union all
          select c.wal_name from pgarch.arch_copy c
          where c.member_id = g.member_id and c.db_id = g.db_id
            and c.create_time <= g.lost_time) h
    where (select true from pgarch.living_copy o
           where o.db_id = g.db_id and o.wal_name = h.wal_name limit 1) is null
    limit $2::bigint) c
  group by g.db_id`

const locals = `
  select c.db_id, count(*) as files, max(c.create_time) as newest from pgarch.arch_copy c
  where c.member_id is not null and ($1::uuid is null or c.db_id = $1)
    and not exists (select from pgarch.arch_local_loss l
                    where l.db_id = c.db_id and l.member_id = c.member_id
                      and l.lost_time >= c.create_time)
  group by c.db_id`

const cleanups = `
  select k.db_id,
         json_agg(json_build_object('path', coalesce(p.name, 'number ' || k.path_id),
           'host', coalesce(m.host, k.member_id::text), 'files', k.files,
           'keptFrom', k.kept_from, 'time', k.clean_time) order by k.path_id) as cleanups
  from pgarch.arch_cleanup k left join pgarch.arch_path_info p on p.id = k.path_id
  left join pgarch.arch_member m on m.id = k.member_id
  where $1::uuid is null or k.db_id = $1
  group by k.db_id`

const members = `
  select m.db_id,
         json_agg(json_build_object('host', m.host, 'enrolled', m.enrolled, 'lastSeen', m.last_seen,
           'lateTime', l.late_time, 'lateSeconds', extract(epoch from l.late_by))
           order by m.host, m.enrolled) filter (where not $3 or l.late_by is not null) as members,
         count(*) as hosts, count(m.last_seen) as seen
  from pgarch.arch_member m
  left join pgarch.arch_member_late l on l.db_id = m.db_id and l.member_id = m.id
  where $1::uuid is null or m.db_id = $1
  group by m.db_id`

const shipping = `
  select h.db_id,
         json_build_object('host', coalesce(m.host, h.member_id::text), 'path', p.name,
           'timeline', h.timeline, 'shippedLsn', h.shipped_lsn, 'flushLsn', h.flush_lsn,
           'caughtUpTime', h.caught_up_time, 'toldTime', h.told_time,
           'ended', h.lease_end is null) as shipping
  from pgarch.arch_shipping h left join pgarch.arch_member m on m.id = h.member_id
  left join pgarch.arch_path_info p on p.id = h.path_id`

const statement = `
  select d.id as fingerprint, d.name, d.active_status as active, d.create_time as "createTime",
         d.switch, d.switch_reason as "switchReason", d.switch_author as "switchAuthor",
         d.switch_time as "switchTime", coalesce(r.route, '[]') as route,
         coalesce(r.active, 0) as "activePaths",
         s.last_wal_name as "lastWalName", s.last_archived_time as "lastArchivedTime",
         v.archive_timeout_seconds as "archiveTimeoutSeconds",
         coalesce(s.failures, 0) as failures, s.last_failure_time as "lastFailureTime",
         s.last_error as "lastError", coalesce(k.number, 0) as "openConflicts",
         coalesce(g.files, 0) as "droppedFiles", g.last_time as "lastDropTime",
         coalesce(o.files, 0) as "lostFiles", o.last_time as "lostTime",
         coalesce(c.files, 0) as "localFiles", c.newest as "localTime",
         d.wal_segment_size as "walSegmentSize", h.shipping,
         coalesce(u.cleanups, '[]') as cleanups, coalesce(m.members, '[]') as members,
         coalesce(m.hosts, 0) as hosts, coalesce(m.seen, 0) as "hostsSeen", now() as "asOf"
  from pgarch.arch_db_info d
  left join pgarch.arch_db_status s on s.db_id = d.id
  left join pgarch.arch_db_server v on v.db_id = d.id
  left join (${routes}) r on r.db_id = d.id
  left join (${conflicts}) k on k.db_id = d.id
  left join (${gaps}) g on g.db_id = d.id
  left join (${losses}) o on o.db_id = d.id
  left join (${locals}) c on c.db_id = d.id
  left join (${shipping}) h on h.db_id = d.id
  left join (${cleanups}) u on u.db_id = d.id
  left join (${members}) m on m.db_id = d.id
  where case when $1::uuid is null then d.active_status else d.id = $1 end
  order by d.name`
