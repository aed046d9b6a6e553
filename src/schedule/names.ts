import { isIP } from 'node:net'
import type { Schedule } from './connect.ts'

/** A host that the scheduling database knows by name. */
export interface RecordedName {
  readonly kind: 'path' | 'cluster'
  /** Of the path, or the cluster's fingerprint. */
  readonly id: string
  /** Of the path or the cluster. */
  readonly of: string
  readonly host: string
  /** ssh_ip, or vip: what the centre last saw; null: nothing yet. */
  readonly address: string | null
}

/** Of paths that are not lost, then of clusters that are not retired, by their names. */
export async function listNames(schedule: Schedule): Promise<RecordedName[]> {
  const rows = await schedule.query<RecordedName>(
    `select 'path' as kind, id::text, name as of, ssh_host as host,
            pg_catalog.host(ssh_ip) as address
     from pgarch.arch_path_info where ssh_host is not null and lost_time is null
     union all
     select 'cluster', id::text, name, host, pg_catalog.host(vip)
     from pgarch.arch_db_info where host is not null and active_status
     order by kind desc, "of", id`,
  )
  return rows.filter(({ host }) => isIP(host) === 0)
}

/**
 * Notes the address that a name was seen to have. Hosts learn nothing of it, as they ask for the name
 * themselves. `refused` where another path, or cluster, has the same place there.
 */
export async function recordAddress(
  schedule: Schedule,
  { kind, id }: Pick<RecordedName, 'kind' | 'id'>,
  address: string,
): Promise<void> {
  await schedule.query(
    kind === 'path'
      ? 'update pgarch.arch_path_info set ssh_ip = $2 where id = $1'
      : 'update pgarch.arch_db_info set vip = $2 where id = $1',
    [id, address],
  )
}
