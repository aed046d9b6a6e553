import { createHash } from 'node:crypto'
import type { Fleet } from './fleet.ts'

/** What the scheduling database holds of the cluster that has this name and is not retired. */

export async function fingerprintOf(fleet: Fleet, cluster: string): Promise<string> {
  const [row] = await fleet.rows<{ id: string }>(
    'select id from pgarch.arch_db_info where name = $1 and active_status',
    [cluster],
  )
  if (row === undefined) throw new Error(`there is no cluster "${cluster}"`)
  return row.id
}

/** Tries to store files, the oldest first. */
export function triesOf(
  fleet: Fleet,
  cluster: string,
): Promise<{ file: string; path: string; stored: boolean; error: string | null }[]> {
  return fleet.rows(
    `select l.wal_name as file, p.name as path, l.status as stored, l.error
     from pgarch.arch_remote_log l
     join pgarch.arch_db_info d on d.id = l.db_id and d.name = $1 and d.active_status
     join pgarch.arch_path_info p on p.id = l.path_id
     order by l.create_time`,
    [cluster],
  )
}

/** Where files are, by name. */
export function copiesOf(fleet: Fleet, cluster: string): Promise<{ file: string; path: string }[]> {
  return fleet.rows(
    `select c.wal_name as file, p.name as path
     from pgarch.arch_copy c
     join pgarch.arch_db_info d on d.id = c.db_id and d.name = $1 and d.active_status
     join pgarch.arch_path_info p on p.id = c.path_id
     order by c.wal_name, p.name`,
    [cluster],
  )
}

/** Claimed content, by name. */
export function filesOf(
  fleet: Fleet,
  cluster: string,
): Promise<{ file: string; sha256: string; size: number }[]> {
  return fleet.rows(
    `select f.wal_name as file, encode(f.sha256, 'hex') as sha256, f.wal_size_bytes::int as size
     from pgarch.arch_file f
     join pgarch.arch_db_info d on d.id = f.db_id and d.name = $1 and d.active_status
     order by f.wal_name`,
    [cluster],
  )
}

/** Refused content; `path` is null when it was refused at the claim. */
export function conflictsOf(
  fleet: Fleet,
  cluster: string,
): Promise<{ file: string; sha256: string; path: string | null }[]> {
  return fleet.rows(
    `select k.wal_name as file, encode(k.sha256, 'hex') as sha256, p.name as path
     from pgarch.arch_conflict k
     join pgarch.arch_db_info d on d.id = k.db_id and d.name = $1 and d.active_status
     left join pgarch.arch_path_info p on p.id = k.path_id
     order by k.id`,
    [cluster],
  )
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
