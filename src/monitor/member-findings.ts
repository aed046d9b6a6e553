import { prettySpan, prettyTime } from '../amounts.ts'
import type { ClusterStatus, MemberStatus } from '../schedule/status.ts'
import type { Finding } from './finding.ts'
import { since } from './since.ts'

const minute = 60_000
const hour = 60 * minute

/** A host is behind with its journal while it tells of old things; milliseconds. */
const lately = 15 * minute

type Found = Omit<Finding, 'about'>

/** A standby is not seen until it is a primary; but somebody must be. */
export function unseen(cluster: ClusterStatus): Found | undefined {
  const { name, hosts, hostsSeen, createTime, asOf } = cluster
  if (hostsSeen > 0) return undefined
  const text = hosts === 0 ? 'no host may archive for it' : 'none of its hosts was ever seen'
  const hint = `Run "pgarch register --member" on its host, and set archive_command there; or "pgarch cluster retire ${name}".`
  return { severity: since(createTime, asOf) > hour ? 'warning' : 'ok', text, hint }
}

export function neverSeen({ members, hostsSeen }: ClusterStatus): Found | undefined {
  const never = members.filter(({ lastSeen }) => lastSeen === null).map(({ host }) => host)
  if (never.length === 0 || hostsSeen === 0) return undefined
  return { severity: 'ok', text: `never seen, as it is with a standby: ${never.join(', ')}` }
}

export function late({ host, lateTime, lateSeconds }: MemberStatus, asOf: Date): Found | undefined {
  if (lateTime === null || since(lateTime, asOf) > lately) return undefined
  const span = prettySpan((lateSeconds ?? 0) * 1000)
  return {
    severity: 'warning',
    text: `host "${host}" told at ${prettyTime(lateTime)} what had waited in its journal for ${span}`,
    hint: `It could not reach the scheduling database, or its clock is wrong. "pgarch check" there tells more.`,
  }
}
