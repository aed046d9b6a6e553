import { createHash, randomBytes } from 'node:crypto'
import type { Schedule } from './connect.ts'
import type { Membership } from './types.ts'

/** The member that stands for whoever archived a file, which nothing on a path tells. */
export const nobody = '00000000-0000-0000-0000-000000000000'

/** A row of arch_member, without the credential's digest. */
export interface EnrolledMember {
  readonly memberId: string
  readonly fingerprint: string
  readonly clusterName: string
  readonly host: string
  readonly dataDirectory: string
  readonly enrolled: Date
  /** To the minute; null: never. */
  readonly lastSeen: Date | null
}

const select = `
  select m.id as "memberId", d.id as fingerprint, d.name as "clusterName", m.host,
         m.data_directory as "dataDirectory", m.enrolled, m.last_seen as "lastSeen"
  from pgarch.arch_member m join pgarch.arch_db_info d on d.id = m.db_id`

/** Makes a member and its credential; the scheduling database keeps only the credential's sha256. */
export async function enrolMember(
  schedule: Schedule,
  fingerprint: string,
  { host, dataDirectory }: { readonly host: string; readonly dataDirectory: string },
): Promise<Membership> {
  const credential = randomBytes(32).toString('base64url')
  const [row] = await schedule.query<{ memberId: string }>(
    `insert into pgarch.arch_member (db_id, host, data_directory, credential_sha256)
     values ($1, $2, $3, $4) returning id as "memberId"`,
    [fingerprint, host, dataDirectory, sha256(credential)],
  )
  return { memberId: (row as { memberId: string }).memberId, credential }
}

/** The cluster a membership is good for; undefined: unknown, or the cluster is retired. */
export async function findMember(
  schedule: Schedule,
  { memberId, credential }: Membership,
): Promise<{ fingerprint: string; name: string } | undefined> {
  const [found] = await schedule.query<{ fingerprint: string; name: string }>(
    `select d.id as fingerprint, d.name
     from pgarch.arch_member m join pgarch.arch_db_info d on d.id = m.db_id
     where m.id = $1 and m.credential_sha256 = $2 and d.active_status`,
    [memberId, sha256(credential)],
  )
  return found
}

/** Of one cluster, or of all. */
export function listMembers(
  schedule: Schedule,
  fingerprint: string | null,
): Promise<EnrolledMember[]> {
  return schedule.query<EnrolledMember>(
    `${select}
     where m.db_id = $1 or $1::uuid is null
     order by d.name, m.host, m.enrolled`,
    [fingerprint],
  )
}

/** Those of a cluster that pushed within the last hour. */
export async function listMembersAtWork(
  schedule: Schedule,
  fingerprint: string,
): Promise<EnrolledMember[]> {
  return await schedule.query<EnrolledMember>(
    `${select} where m.db_id = $1 and m.last_seen > now() - interval '1 hour'
     order by m.last_seen desc`,
    [fingerprint],
  )
}

function sha256(credential: string): Buffer {
  return createHash('sha256').update(credential).digest()
}
