import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'

/** What lies, as far as anybody was told, in the local archives of a cluster's member. */
export interface LocalHoldings {
  readonly memberId: string
  /** null: never, or the member was removed since. */
  readonly lastSeen: Date | null
  readonly files: number
  /** Those of them that are nowhere else now. */
  readonly onlyThere: number
  /** Names of WAL files of those, in the order of names; null: none. */
  readonly first: string | null
  readonly last: string | null
}

/** By host, or by the uuid of a member; a host that registered again is several. */
export function listLocalHoldings(
  schedule: Schedule,
  fingerprint: string,
  host: string,
): Promise<LocalHoldings[]> {
  return schedule.query<LocalHoldings>(
    `select c.member_id as "memberId", max(m.last_seen) as "lastSeen", count(*) as files,
            count(*) filter (where alone) as "onlyThere",
            min(c.wal_name) filter (where alone) as first,
            max(c.wal_name) filter (where alone) as last
     from pgarch.living_copy c
     left join pgarch.arch_member m on m.id = c.member_id
     cross join lateral (select not exists (
       select from pgarch.living_copy o
       where o.db_id = c.db_id and o.wal_name = c.wal_name
         and o.member_id is distinct from c.member_id) as alone) t
     where c.db_id = $1 and c.member_id is not null
       and (m.host = $2 or c.member_id::text = $2)
     group by c.member_id order by c.member_id`,
    [fingerprint, host],
  )
}

/** From then on what was in these members' local archives until now is nowhere. */
export async function loseLocalArchives(
  schedule: Schedule,
  fingerprint: string,
  memberIds: readonly string[],
  { author, reason }: { readonly author: string; readonly reason: string | null },
): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_local_loss (db_id, member_id, lost_by, lost_reason)
     select $1, member_id, $3, $4 from unnest($2::uuid[]) as member_id
     on conflict (db_id, member_id) do update
       set lost_time = now(), lost_by = excluded.lost_by, lost_reason = excluded.lost_reason`,
    [fingerprint, memberIds, author, reason],
  )
}

/** It is as if it had never been declared. `refused` when it was not. */
export async function returnLocalArchives(
  schedule: Schedule,
  fingerprint: string,
  host: string,
): Promise<void> {
  const returned = await schedule.query(
    `delete from pgarch.arch_local_loss l
     where l.db_id = $1
       and (l.member_id::text = $2
            or l.member_id in (select m.id from pgarch.arch_member m where m.host = $2))
     returning l.member_id`,
    [fingerprint, host],
  )
  if (returned.length > 0) return
  throw new PgarchError('refused', `no local archive of host "${host}" was declared lost`)
}
