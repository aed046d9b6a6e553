import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'
import type { Switch } from './types.ts'

/** What a person says of a cluster; for reports, pgarch itself decides nothing by it. */
export interface ClusterProperties {
  readonly idc?: string | null
  readonly platform?: string | null
  /** PostgreSQL's major version. */
  readonly version?: string | null
  readonly host?: string | null
  /** Address on which clients reach whoever is primary. */
  readonly vip?: string | null
  readonly port?: number | null
}

export interface NewCluster extends ClusterProperties {
  readonly name: string
  readonly systemIdentifier: string
  /** Bytes. */
  readonly walSegmentSize: number
}

/** A row of arch_db_info. */
export interface Cluster extends Required<ClusterProperties> {
  readonly fingerprint: string
  readonly name: string
  readonly software: string
  readonly systemIdentifier: string
  readonly walSegmentSize: number
  readonly switch: Switch
  readonly switchReason: string | null
  readonly switchAuthor: string | null
  readonly switchTime: Date | null
  readonly previousFingerprint: string | null
  readonly routeVersion: number
  /** false: retired. */
  readonly active: boolean
  readonly createTime: Date
  readonly modifyTime: Date
}

const columns = `
  id as fingerprint, name, idc, platform, software, version, host, pg_catalog.host(vip) as vip, port,
  system_identifier as "systemIdentifier", wal_segment_size as "walSegmentSize", switch,
  switch_reason as "switchReason", switch_author as "switchAuthor", switch_time as "switchTime",
  previous_id as "previousFingerprint", route_version as "routeVersion", active_status as active,
  create_time as "createTime", modify_time as "modifyTime"`

const newColumns =
  'name, system_identifier, wal_segment_size, idc, platform, version, host, vip, port'

function newValues(cluster: NewCluster): unknown[] {
  const { name, systemIdentifier, walSegmentSize, idc, platform, version, host, vip, port } =
    cluster
  const properties = [idc, platform, version, host, vip, port].map((value) => value ?? null)
  return [name, systemIdentifier, walSegmentSize, ...properties]
}

/** Makes the fingerprint. `refused` when another cluster that is not retired has the name. */
export async function createCluster(schedule: Schedule, cluster: NewCluster): Promise<Cluster> {
  const [created] = await schedule.query<Cluster>(
    `insert into pgarch.arch_db_info (${newColumns})
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${columns}`,
    newValues(cluster),
  )
  return created as Cluster
}

/**
 * After pg_upgrade: retires the cluster, and creates its successor with its routes, so that archiving
 * goes on. The old files stay under the old fingerprint.
 */
export async function succeedCluster(
  schedule: Schedule,
  predecessor: string,
  cluster: NewCluster,
): Promise<Cluster> {
  const [created] = await schedule.query<Cluster>(
    `with retired as (
       update pgarch.arch_db_info set active_status = false
       where id = $10 and active_status returning id
     ), created as (
       insert into pgarch.arch_db_info (${newColumns}, previous_id)
       select $1, $2, $3, $4, $5, $6, $7, $8, $9, retired.id from retired returning *
     ), routed as (
       insert into pgarch.arch_path_map (db_id, path_id, priority, active_status)
       select created.id, m.path_id, m.priority, m.active_status
       from created join pgarch.arch_path_map m on m.db_id = created.previous_id
     )
     select ${columns} from created`,
    [...newValues(cluster), predecessor],
  )
  if (created === undefined) throw noSuchCluster(predecessor)
  return created
}

/**
 * By name, fingerprint or system identifier; those that are not retired come first. `refused` when
 * it fits several equally well.
 */
export async function findCluster(
  schedule: Schedule,
  reference: string,
): Promise<Cluster | undefined> {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(reference) ? reference : null
  const identifier = /^\d{1,20}$/.test(reference) ? reference : null
  const rows = await schedule.query<Cluster & { rank: number }>(
    `select ${columns},
            case when id = $2 then 0 when name = $1 then 1 else 2 end
              + case when active_status then 0 else 3 end as rank
     from pgarch.arch_db_info
     where name = $1 or id = $2::uuid or system_identifier = $3::numeric
     order by rank, create_time desc`,
    [reference, uuid, identifier],
  )
  const best = rows.filter(({ rank }) => rank === rows[0]?.rank)
  if (best.length > 1) {
    throw new PgarchError('refused', `"${reference}" can be one of ${best.length} clusters`, {
      hint: `Use the fingerprint: ${best.map(({ fingerprint }) => fingerprint).join(', ')}.`,
    })
  }
  const [found] = best
  if (found === undefined) return undefined
  const { rank: _, ...cluster } = found
  return cluster
}

/** As findCluster; `refused` when there is none. */
export async function requireCluster(schedule: Schedule, reference: string): Promise<Cluster> {
  const cluster = await findCluster(schedule, reference)
  if (cluster === undefined) throw noSuchCluster(reference)
  return cluster
}

/** Those with this system identifier that are not retired. */
export function listClustersByIdentifier(
  schedule: Schedule,
  systemIdentifier: string,
): Promise<Cluster[]> {
  return schedule.query<Cluster>(
    `select ${columns} from pgarch.arch_db_info
     where system_identifier = $1 and active_status order by name`,
    [systemIdentifier],
  )
}

/** All clusters by name; the retired ones only if asked for. */
export function listClusters(
  schedule: Schedule,
  { retired = false }: { retired?: boolean } = {},
): Promise<Cluster[]> {
  return schedule.query<Cluster>(
    `select ${columns} from pgarch.arch_db_info
     where active_status or $1 order by name, create_time`,
    [retired],
  )
}

/** Changes what is given, and leaves the rest; null empties. */
export async function updateCluster(
  schedule: Schedule,
  fingerprint: string,
  changes: ClusterProperties,
): Promise<void> {
  const names = ['idc', 'platform', 'version', 'host', 'vip', 'port'] as const
  const given = names.filter((name) => changes[name] !== undefined)
  if (given.length === 0) return
  await schedule.query(
    `update pgarch.arch_db_info
     set ${given.map((name, index) => `${name} = $${index + 2}`).join(', ')} where id = $1`,
    [fingerprint, ...given.map((name) => changes[name])],
  )
}

/** `refused` when another cluster has the name. */
export async function renameCluster(
  schedule: Schedule,
  fingerprint: string,
  name: string,
): Promise<void> {
  await schedule.query('update pgarch.arch_db_info set name = $2 where id = $1', [
    fingerprint,
    name,
  ])
}

/** Keeps what the cluster's server was found to be set to, for whoever monitors. */
export async function noteServer(
  schedule: Schedule,
  fingerprint: string,
  { archiveTimeoutSeconds }: { readonly archiveTimeoutSeconds: number },
): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_db_server (db_id, archive_timeout_seconds) values ($1, $2)
     on conflict (db_id) do update set
       archive_timeout_seconds = excluded.archive_timeout_seconds, told_time = now()`,
    [fingerprint, archiveTimeoutSeconds],
  )
}

/** Once this resolves, no more WAL is dropped for a stop that was ended by it. */
export async function switchCluster(
  schedule: Schedule,
  fingerprint: string,
  change: { readonly switch: Switch; readonly reason: string | null; readonly author: string },
): Promise<void> {
  await schedule.query(
    `update pgarch.arch_db_info
     set switch = $2, switch_reason = $3, switch_author = $4, switch_time = now() where id = $1`,
    [fingerprint, change.switch, change.reason, change.author],
  )
}

/**
 * Its members can push no more, and its name and address are free; its files can still be fetched.
 * `refused` when it is retired already.
 */
export async function retireCluster(schedule: Schedule, fingerprint: string): Promise<void> {
  if (await setClusterActive(schedule, fingerprint, false)) return
  throw new PgarchError('refused', 'the cluster is retired already')
}

/** `refused` unless it is retired, and while another cluster has its name or address. */
export async function reinstateCluster(schedule: Schedule, fingerprint: string): Promise<void> {
  if (await setClusterActive(schedule, fingerprint, true)) return
  throw new PgarchError('refused', 'the cluster is not retired')
}

/** Whether that changed anything. */
async function setClusterActive(
  schedule: Schedule,
  fingerprint: string,
  active: boolean,
): Promise<boolean> {
  const changed = await schedule.query(
    `update pgarch.arch_db_info set active_status = $2
     where id = $1 and active_status <> $2 returning id`,
    [fingerprint, active],
  )
  return changed.length > 0
}

function noSuchCluster(reference: string): PgarchError {
  return new PgarchError('refused', `cluster "${reference}" does not exist`, {
    hint: 'See "pgarch cluster list".',
  })
}
