import { hostname } from 'node:os'
import { readFingerprint } from '../postgres/fingerprint.ts'
import { readLife } from '../postgres/life.ts'
import type { Member } from '../postgres/member.ts'
import type { OwnServer } from '../postgres/own-server.ts'
import { findCluster } from '../schedule/clusters.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type EnrolledMember, listMembersAtWork } from '../schedule/members.ts'
import type { KnownCluster } from './registration.ts'

/** By the fingerprint that came along, which pg_upgrade keeps while it changes the identifier. */
export async function findPredecessor(
  present: Member | undefined,
  production: OwnServer | undefined,
  systemIdentifier: string,
  schedule: Schedule,
): Promise<KnownCluster | undefined> {
  const stored = production && (await readFingerprint(production.connection))
  const fingerprint = stored?.fingerprint ?? present?.fingerprint
  if (fingerprint === undefined) return undefined
  const cluster = await findCluster(schedule, fingerprint)
  const differs = cluster !== undefined && cluster.systemIdentifier !== systemIdentifier
  return differs && cluster.active ? cluster : undefined
}

/**
 * Members of a cluster in other places that archived within the last hour. On this host it counts
 * whether a server is there: after pg_upgrade, the old one was at work until a moment ago.
 */
export async function findOthersAtWork(
  { fingerprint }: KnownCluster,
  dataDirectory: string,
  schedule: Schedule,
): Promise<EnrolledMember[]> {
  const others: EnrolledMember[] = []
  for (const member of await listMembersAtWork(schedule, fingerprint)) {
    const isHere = member.host === hostname()
    if (isHere && member.dataDirectory === dataDirectory) continue
    if (isHere && (await readLife(member.dataDirectory)) === undefined) continue
    others.push(member)
  }
  return others
}
