import { isIP } from 'node:net'
import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'
import type { SchedulePath } from './types.ts'

/** What push leaves free on a path where nobody said otherwise; arch_path_info has the same default. */
export const usualReserveBytes = 64 * 1024 ** 2

/** How a path is reached and what it is called. */
export interface PathProperties
  extends Omit<SchedulePath, 'id' | 'uuid' | 'kind' | 'priority' | 'reserveBytes'> {
  /** The address that `sshHost` had when somebody looked; null for a local path. */
  readonly sshIp: string | null
  /** Bytes that the path is meant to hold, for reports. */
  readonly capacityBytes?: number | null
  readonly reserveBytes?: number
}

export interface NewPath extends PathProperties {
  /** What `pgarch-path` at the root carries. */
  readonly uuid: string
  readonly kind: 'sftp' | 'local'
  /** The number that it had in a scheduling database that was lost; without one it gets a new one. */
  readonly id?: number
}

/** A row of arch_path_info, and how many clusters it serves. */
export interface ArchivePath extends Omit<SchedulePath, 'priority'> {
  readonly sshIp: string | null
  readonly capacityBytes: number | null
  /** Gone for good since; null: not lost. */
  readonly lostTime: Date | null
  readonly lostBy: string | null
  readonly lostReason: string | null
  readonly active: boolean
  readonly createTime: Date
  readonly modifyTime: Date
  readonly clusters: number
}

const select = `
  select p.id, p.uuid, p.name, p.kind, coalesce(p.ssh_host, pg_catalog.host(p.ssh_ip)) as "sshHost",
         pg_catalog.host(p.ssh_ip) as "sshIp", p.ssh_port as "sshPort", p.ssh_user as "sshUser",
         p.host_key as "hostKey", p.root_path as "rootPath", p.capacity_bytes as "capacityBytes",
         p.reserve_bytes as "reserveBytes",
         p.lost_time as "lostTime", p.lost_by as "lostBy", p.lost_reason as "lostReason",
         p.active_status as active, p.create_time as "createTime",
         p.modify_time as "modifyTime",
         (select count(*) from pgarch.arch_path_map m
          join pgarch.arch_db_info d on d.id = m.db_id and d.active_status
          where m.path_id = p.id and m.active_status) as clusters
  from pgarch.arch_path_info p`

/** ssh_host is for names; what is an address already goes to ssh_ip alone. */
function address(path: PathProperties): unknown[] {
  const { name, rootPath, sshHost, sshIp, sshPort, sshUser, hostKey } = path
  const isAddress = sshHost !== null && isIP(sshHost) !== 0
  const host = isAddress ? [null, sshHost] : [sshHost, sshIp]
  return [name, rootPath, ...host, sshPort, sshUser, hostKey]
}

/**
 * Resolves to its number: the wanted one if that is free, else a new one. `refused` when another path
 * has the name, or the host, port and root.
 */
export async function insertPath(schedule: Schedule, path: NewPath): Promise<number> {
  const [row] = await schedule.query<{ id: number }>(
    `insert into pgarch.arch_path_info
       (name, root_path, ssh_host, ssh_ip, ssh_port, ssh_user, host_key, capacity_bytes, uuid, kind,
        reserve_bytes, id)
     overriding system value
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
       case when $12 > 0 and not exists (select from pgarch.arch_path_info where id = $12)
            then $12 else pg_catalog.nextval('pgarch.arch_path_info_id_seq') end)
     returning id`,
    [
      ...address(path),
      path.capacityBytes ?? null,
      path.uuid,
      path.kind,
      path.reserveBytes ?? usualReserveBytes,
      path.id ?? 0,
    ],
  )
  if (path.id) await passPathNumbers(schedule)
  return (row as { id: number }).id
}

/** New paths get numbers beyond all that are taken. */
export async function passPathNumbers(schedule: Schedule): Promise<void> {
  await schedule.query(
    `select pg_catalog.setval('pgarch.arch_path_info_id_seq', greatest(last_value, highest))
     from pgarch.arch_path_info_id_seq, (select max(id) as highest from pgarch.arch_path_info) p
     where highest is not null`,
  )
}

/** Without `capacityBytes` or `reserveBytes` that stays as it is. */
export async function updatePath(
  schedule: Schedule,
  id: number,
  path: PathProperties,
): Promise<void> {
  await schedule.query(
    `update pgarch.arch_path_info
     set name = $2, root_path = $3, ssh_host = $4, ssh_ip = $5, ssh_port = $6, ssh_user = $7,
         host_key = $8, capacity_bytes = case when $9 then $10 else capacity_bytes end,
         reserve_bytes = coalesce($11, reserve_bytes)
     where id = $1`,
    [
      id,
      ...address(path),
      path.capacityBytes !== undefined,
      path.capacityBytes ?? null,
      path.reserveBytes ?? null,
    ],
  )
}

export function listPaths(schedule: Schedule): Promise<ArchivePath[]> {
  return schedule.query<ArchivePath>(`${select} order by p.name, p.id`)
}

/** All that could hold a WAL file of a cluster: of its route, or with a copy of it; lost ones not. */
export function listPathsOf(
  schedule: Schedule,
  fingerprint: string,
  walName: string,
): Promise<ArchivePath[]> {
  return schedule.query<ArchivePath>(
    `${select}
     where p.lost_time is null and p.id in (
       select path_id from pgarch.arch_path_map where db_id = $1
       union select path_id from pgarch.arch_copy where db_id = $1 and wal_name = $2)
     order by p.name, p.id`,
    [fingerprint, walName],
  )
}

export async function findPath(schedule: Schedule, name: string): Promise<ArchivePath | undefined> {
  const [found] = await schedule.query<ArchivePath>(
    `${select} where p.name = $1 and p.lost_time is null`,
    [name],
  )
  return found
}

/** As findPath; `refused` when there is none. */
export async function requirePath(schedule: Schedule, name: string): Promise<ArchivePath> {
  const path = await findPath(schedule, name)
  if (path !== undefined) return path
  throw new PgarchError('refused', `path "${name}" does not exist`, {
    hint: 'See "pgarch path list".',
  })
}

/** A path that is not active gets no more files; what it holds is still fetched from it. */
export async function setPathActive(
  schedule: Schedule,
  id: number,
  active: boolean,
): Promise<void> {
  await schedule.query('update pgarch.arch_path_info set active_status = $2 where id = $1', [
    id,
    active,
  ])
}

/** `refused` while it is in a route or holds archived files. */
export async function removePath(schedule: Schedule, id: number): Promise<void> {
  await schedule.query('delete from pgarch.arch_path_info where id = $1', [id])
}
