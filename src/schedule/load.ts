import { isDeepStrictEqual } from 'node:util'
import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'
import { type DumpedCluster, type DumpedPath, readDump, type ScheduleDump } from './dump.ts'
import { passPathNumbers } from './paths.ts'
import { inTransaction } from './transaction.ts'

/** Of differences that a message tells. */
const mostDifferences = 5

/**
 * Fills a scheduling database that has neither clusters nor paths; one that holds the very same is left
 * as it is. Rejects with `refused`, naming what differs, when it holds anything else. All or nothing.
 */
export async function loadDump(
  schedule: Schedule,
  dump: ScheduleDump,
): Promise<'loaded' | 'matches'> {
  return await inTransaction(schedule, async () => {
    await schedule.query(
      `lock table pgarch.arch_db_info, pgarch.arch_path_info, pgarch.arch_path_map,
                  pgarch.arch_member in share row exclusive mode`,
    )
    const present = await readDump(schedule)
    if (present.clusters.length > 0 || present.paths.length > 0) {
      const differing = differences(present, dump)
      if (differing.length === 0) return 'matches'
      throw contradiction(differing)
    }
    await insertPaths(schedule, dump.paths)
    await insertClusters(schedule, dump.clusters)
    return 'loaded'
  })
}

function contradiction(differing: readonly string[]): PgarchError {
  const told = differing.slice(0, mostDifferences)
  const rest = differing.length - told.length
  const text = rest === 0 ? told.join('; ') : `${told.join('; ')}; and ${rest} more`
  return new PgarchError('refused', `the scheduling database holds something else: ${text}`, {
    hint: 'A dump is loaded into an empty database: create one, and run "pgarch init" there.',
  })
}

/** What is here and not there, or the other way round, or otherwise, in words. */
function differences(here: ScheduleDump, there: ScheduleDump): string[] {
  const named = ({ paths, clusters }: ScheduleDump) =>
    new Map<string, DumpedPath | DumpedCluster>([
      ...paths.map((path) => [`path "${path.name}" (${path.uuid})`, path] as const),
      ...clusters.map((one) => [`cluster "${one.name}" (${one.fingerprint})`, one] as const),
    ])
  const [present, given] = [named(here), named(there)]
  const found: string[] = []
  for (const [name, one] of present) {
    const other = given.get(name)
    if (other === undefined) found.push(`${name} is not in the dump`)
    else if (!isDeepStrictEqual(one, other)) found.push(`${name} differs in ${unequal(one, other)}`)
  }
  for (const name of given.keys()) {
    if (!present.has(name)) found.push(`${name} is in the dump alone`)
  }
  return found
}

function unequal(one: object, other: object): string {
  const values = new Map<string, unknown>(Object.entries(other))
  const names = Object.entries(one).flatMap(([name, value]) =>
    isDeepStrictEqual(value, values.get(name)) ? [] : [name],
  )
  return names.join(', ')
}

async function insertPaths(schedule: Schedule, paths: readonly DumpedPath[]): Promise<void> {
  await schedule.query(
    `insert into pgarch.arch_path_info
       (id, uuid, name, kind, ssh_host, ssh_ip, ssh_port, ssh_user, host_key, root_path,
        capacity_bytes, reserve_bytes, active_status, lost_time, lost_by, lost_reason, create_time)
     overriding system value
     select id, uuid, name, kind, "sshHost", "sshIp", "sshPort", "sshUser", "hostKey", "rootPath",
            "capacityBytes", "reserveBytes", active, "lostTime", "lostBy", "lostReason", "createTime"
     from jsonb_to_recordset($1::jsonb) as p
       (id int, uuid uuid, name text, kind text, "sshHost" text, "sshIp" inet, "sshPort" int,
        "sshUser" text, "hostKey" text, "rootPath" text, "capacityBytes" bigint,
        "reserveBytes" bigint, active boolean, "lostTime" timestamptz, "lostBy" text,
        "lostReason" text, "createTime" timestamptz)`,
    [JSON.stringify(paths)],
  )
  await passPathNumbers(schedule)
}

/**
 * The route's version is made of the time, so that it is beyond every version that a host has seen: it
 * counts changes, and no cluster changes once a second.
 */
async function insertClusters(
  schedule: Schedule,
  clusters: readonly DumpedCluster[],
): Promise<void> {
  const given = [JSON.stringify(clusters)]
  await schedule.query(
    `insert into pgarch.arch_db_info
       (id, name, active_status, system_identifier, wal_segment_size, idc, platform, software,
        version, host, vip, port, switch, switch_reason, switch_author, switch_time, previous_id,
        create_time, route_version)
     select fingerprint, name, active, "systemIdentifier", "walSegmentSize", idc, platform, software,
            version, host, vip, port, switch, "switchReason", "switchAuthor", "switchTime",
            "previousFingerprint", "createTime", extract(epoch from now())
     from jsonb_to_recordset($1::jsonb) as d
       (fingerprint uuid, name text, active boolean, "systemIdentifier" numeric,
        "walSegmentSize" int, idc text, platform text, software text, version text, host text,
        vip inet, port int, switch text, "switchReason" text, "switchAuthor" text,
        "switchTime" timestamptz, "previousFingerprint" uuid, "createTime" timestamptz)`,
    given,
  )
  await schedule.query(
    `insert into pgarch.arch_path_map (db_id, path_id, priority, active_status)
     select d.fingerprint, r.path, r.priority, r.active
     from jsonb_to_recordset($1::jsonb) as d (fingerprint uuid, route jsonb)
     cross join jsonb_to_recordset(d.route) as r (path int, priority int, active boolean)`,
    given,
  )
  await schedule.query(
    `insert into pgarch.arch_member
       (id, db_id, host, data_directory, credential_sha256, enrolled)
     select m."memberId", d.fingerprint, m.host, m."dataDirectory",
            pg_catalog.decode(m."credentialSha256", 'hex'), m.enrolled
     from jsonb_to_recordset($1::jsonb) as d (fingerprint uuid, members jsonb)
     cross join jsonb_to_recordset(d.members) as m
       ("memberId" uuid, host text, "dataDirectory" text, "credentialSha256" text,
        enrolled timestamptz)`,
    given,
  )
}
