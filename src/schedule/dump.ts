import type { Schedule } from './connect.ts'
import type { Switch } from './types.ts'

/** The format's name and version: docs/scheduling-database.md promises that it stays readable. */
export const dumpFormat = { format: 'pgarch schedule dump', version: 1 } as const

/**
 * Everything that people and `register` decided: what cannot be found out again from the paths. Times
 * are ISO 8601, UTC, with microseconds. Nothing in it changes by archiving alone.
 */
export interface ScheduleDump {
  readonly format: typeof dumpFormat.format
  readonly version: typeof dumpFormat.version
  /** By number. */
  readonly paths: readonly DumpedPath[]
  /** By name. */
  readonly clusters: readonly DumpedCluster[]
}

/** arch_path_info, without what triggers keep. */
export interface DumpedPath {
  readonly id: number
  readonly uuid: string
  readonly name: string
  readonly kind: 'sftp' | 'local'
  readonly sshHost: string | null
  readonly sshIp: string | null
  readonly sshPort: number | null
  readonly sshUser: string | null
  readonly hostKey: string | null
  readonly rootPath: string
  readonly capacityBytes: number | null
  readonly reserveBytes: number
  readonly active: boolean
  readonly lostTime: string | null
  readonly lostBy: string | null
  readonly lostReason: string | null
  readonly createTime: string
}

/** arch_db_info, and what belongs to the cluster of arch_path_map and arch_member. */
export interface DumpedCluster {
  readonly fingerprint: string
  readonly name: string
  readonly active: boolean
  readonly systemIdentifier: string
  readonly walSegmentSize: number
  readonly idc: string | null
  readonly platform: string | null
  readonly software: string
  readonly version: string | null
  readonly host: string | null
  readonly vip: string | null
  readonly port: number | null
  readonly switch: Switch
  readonly switchReason: string | null
  readonly switchAuthor: string | null
  readonly switchTime: string | null
  readonly previousFingerprint: string | null
  readonly createTime: string
  /** Highest priority first; `path` is the path's number. */
  readonly route: readonly { path: number; priority: number; active: boolean }[]
  readonly members: readonly DumpedMember[]
}

export interface DumpedMember {
  readonly memberId: string
  readonly host: string
  readonly dataDirectory: string
  /** 64 hex digits; the credential itself is on the host alone. */
  readonly credentialSha256: string
  readonly enrolled: string
}

const time = (column: string) =>
  `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

/** The same rows give the same text, key by key, so that it can be kept in version control. */
export async function readDump(schedule: Schedule): Promise<ScheduleDump> {
  const [row] = await schedule.query<{ paths: DumpedPath[]; clusters: DumpedCluster[] }>(
    `select coalesce((select json_agg(p) from (${paths}) p), '[]') as paths,
            coalesce((select json_agg(c) from (${clusters}) c), '[]') as clusters`,
  )
  return { ...dumpFormat, paths: row?.paths ?? [], clusters: row?.clusters ?? [] }
}

const paths = `
  select p.id, p.uuid, p.name, p.kind, p.ssh_host as "sshHost", pg_catalog.host(p.ssh_ip) as "sshIp",
         p.ssh_port as "sshPort", p.ssh_user as "sshUser", p.host_key as "hostKey",
         p.root_path as "rootPath", p.capacity_bytes as "capacityBytes",
         p.reserve_bytes as "reserveBytes", p.active_status as active,
         ${time('p.lost_time')} as "lostTime", p.lost_by as "lostBy",
         p.lost_reason as "lostReason", ${time('p.create_time')} as "createTime"
  from pgarch.arch_path_info p order by p.id`

const members = `
  select m.id as "memberId", m.host, m.data_directory as "dataDirectory",
         pg_catalog.encode(m.credential_sha256, 'hex') as "credentialSha256",
         ${time('m.enrolled')} as enrolled
  from pgarch.arch_member m where m.db_id = d.id order by m.host collate "C", m.id`

const route = `
  select r.path_id as path, r.priority, r.active_status as active
  from pgarch.arch_path_map r where r.db_id = d.id order by r.priority desc, r.path_id`

const clusters = `
  select d.id as fingerprint, d.name, d.active_status as active,
         d.system_identifier::text as "systemIdentifier", d.wal_segment_size as "walSegmentSize",
         d.idc, d.platform, d.software, d.version, d.host, pg_catalog.host(d.vip) as vip, d.port,
         d.switch, d.switch_reason as "switchReason", d.switch_author as "switchAuthor",
         ${time('d.switch_time')} as "switchTime", d.previous_id as "previousFingerprint",
         ${time('d.create_time')} as "createTime",
         coalesce((select json_agg(r) from (${route}) r), '[]') as route,
         coalesce((select json_agg(m) from (${members}) m), '[]') as members
  from pgarch.arch_db_info d order by d.name collate "C", d.id`
