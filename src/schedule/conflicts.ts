import type { Schedule } from './connect.ts'
import { nobody } from './members.ts'

/** A row of arch_conflict: content that was refused, as other content has the name. */
export interface Conflict {
  readonly id: number
  readonly fingerprint: string
  readonly clusterName: string
  readonly walName: string
  /** Of the refused content, 64 hex digits; null where the host could not claim it first. */
  readonly refusedSha256: string | null
  /** Of the claimed content. */
  readonly claimedSha256: string | null
  /** Where it was met; null: at the claim, before a byte was sent. */
  readonly pathName: string | null
  /** null: a rebuild met it, and nobody knows whose it is. */
  readonly memberId: string | null
  /** The member's host; null: the member was removed since, or is not known. */
  readonly host: string | null
  readonly firstSeen: Date
  readonly lastSeen: Date
  readonly times: number
}

/** Those not resolved yet, of one cluster or of all, in the order in which they were met. */
export function listOpenConflicts(
  schedule: Schedule,
  fingerprint: string | null,
): Promise<Conflict[]> {
  return schedule.query<Conflict>(
    `select k.id, d.id as fingerprint, d.name as "clusterName", k.wal_name as "walName",
            encode(k.sha256, 'hex') as "refusedSha256", encode(f.sha256, 'hex') as "claimedSha256",
            p.name as "pathName", nullif(k.member_id, $2) as "memberId", m.host,
            k.first_seen as "firstSeen", k.last_seen as "lastSeen", k.times
     from pgarch.arch_conflict k
     join pgarch.arch_db_info d on d.id = k.db_id
     left join pgarch.arch_file f on f.db_id = k.db_id and f.wal_name = k.wal_name
     left join pgarch.arch_path_info p on p.id = k.path_id
     left join pgarch.arch_member m on m.id = k.member_id
     where k.resolved_time is null and (k.db_id = $1 or $1::uuid is null)
     order by d.name, k.first_seen, k.id`,
    [fingerprint, nobody],
  )
}

/** The content that a WAL file of a cluster has, by its claim. */
export interface ClaimedContent {
  readonly sha256: string
  /** Bytes. */
  readonly walSize: number
  /** null: a rebuild found it, and nobody knows who archived it. */
  readonly memberId: string | null
  /** null: the member was removed since, or is not known. */
  readonly host: string | null
  readonly time: Date
  /** Files behind it on its timeline that the same member archived. */
  readonly laterFiles: number
}

export async function findClaim(
  schedule: Schedule,
  fingerprint: string,
  walName: string,
): Promise<ClaimedContent | undefined> {
  const [claim] = await schedule.query<ClaimedContent>(
    `select encode(f.sha256, 'hex') as sha256, f.wal_size_bytes as "walSize",
            nullif(f.member_id, $3) as "memberId", m.host, f.create_time as time,
            (select count(*) from pgarch.arch_file l
             where l.db_id = f.db_id and l.member_id = f.member_id and l.wal_name > f.wal_name
               and l.wal_name like left(f.wal_name, 8) || '%') as "laterFiles"
     from pgarch.arch_file f left join pgarch.arch_member m on m.id = f.member_id
     where f.db_id = $1 and f.wal_name = $2`,
    [fingerprint, walName, nobody],
  )
  return claim
}

/** Hosts whose local archive holds the file. */
export async function listLocalHosts(
  schedule: Schedule,
  fingerprint: string,
  walName: string,
): Promise<string[]> {
  const rows = await schedule.query<{ host: string }>(
    `select coalesce(m.host, c.member_id::text) as host
     from pgarch.arch_copy c left join pgarch.arch_member m on m.id = c.member_id
     where c.db_id = $1 and c.wal_name = $2 and c.member_id is not null order by 1`,
    [fingerprint, walName],
  )
  return rows.map(({ host }) => host)
}
