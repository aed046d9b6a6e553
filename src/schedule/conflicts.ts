import type { Schedule } from './connect.ts'

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
  /** The member's host; null: the member was removed since. */
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
            p.name as "pathName", m.host, k.first_seen as "firstSeen", k.last_seen as "lastSeen",
            k.times
     from pgarch.arch_conflict k
     join pgarch.arch_db_info d on d.id = k.db_id
     left join pgarch.arch_file f on f.db_id = k.db_id and f.wal_name = k.wal_name
     left join pgarch.arch_path_info p on p.id = k.path_id
     left join pgarch.arch_member m on m.id = k.member_id
     where k.resolved_time is null and (k.db_id = $1 or $1::uuid is null)
     order by d.name, k.first_seen, k.id`,
    [fingerprint],
  )
}
