import { counted, prettySpan, prettyTime } from '../amounts.ts'
import type { ClusterStatus } from '../schedule/status.ts'
import type { Finding } from './finding.ts'
import { type Checked, judge, type Measure } from './measure.ts'
import { late, neverSeen, unseen } from './member-findings.ts'
import { fresh, withoutPath } from './path-findings.ts'
import { shippingLag } from './shipping-lag.ts'
import { since } from './since.ts'

/** Names of a cluster's measures, the main one first. */
export const clusterMeasures = ['last_file_age', 'failures', 'conflicts', 'local_files'] as const

const minute = 60_000
const hour = 60 * minute

/** What a person decided, knowing what it costs, needs attention for so long; milliseconds. */
const decided = 7 * 24 * hour
/** Shipping that is behind for longer needs attention; milliseconds. */
const longestLag = minute

/**
 * How a cluster's archiving goes. What is wrong with a path is told of the path, and does not make a
 * cluster that others serve need attention.
 */
export function checkCluster(cluster: ClusterStatus): Checked {
  const about = `cluster "${cluster.name}"`
  const findings = cluster.active ? archivingFindings(cluster) : [retired(cluster)]
  const counts = [
    { name: 'failures', value: cluster.failures },
    { name: 'conflicts', value: cluster.openConflicts },
    { name: 'local_files', value: cluster.localFiles },
  ]
  return {
    findings: findings.filter((found) => found !== undefined).map((found) => ({ about, ...found })),
    measures: [
      ageMeasure(cluster),
      ...counts.map(({ name, value }) => {
        const text = `${value} ${name.replace('_', ' ')}`
        return { about, name, value, text, unit: '', min: 0 } as const
      }),
    ],
  }
}

function archivingFindings(cluster: ClusterStatus): (Found | undefined)[] {
  return [
    ...[conflicts(cluster), switched(cluster), unrouted(cluster)],
    ...[failing(cluster), lost(cluster), local(cluster), behind(cluster), dropped(cluster)],
    ...[unseen(cluster), neverSeen(cluster)],
    ...cluster.members.map((member) => late(member, cluster.asOf)),
    ...passedOver(cluster),
  ]
}

/** Whoever asks for it by name may not know that it archives nothing any more. */
function retired({ fingerprint }: ClusterStatus): Found {
  const hint = `Ask for it no more; or take that back by "pgarch cluster reinstate ${fingerprint}".`
  return { severity: 'warning', text: 'retired, its pushes are refused', hint }
}

/** What there is to say of a cluster that is well. */
export function lastFile({ name, lastWalName, lastArchivedTime }: ClusterStatus): Finding {
  const text = `last archived ${lastWalName} at ${prettyTime(lastArchivedTime)}`
  return {
    severity: 'ok',
    about: `cluster "${name}"`,
    text: lastWalName === null ? 'nothing was archived yet' : text,
  }
}

/** All that needs attention, as findings; what is well, too. */
export function clusterFindings(cluster: ClusterStatus): Finding[] {
  const { findings, measures } = checkCluster(cluster)
  return [...findings, ...measures.map(judge)]
}

type Found = Omit<Finding, 'about'>

/**
 * Paths of its route that its last try to store a file failed on, though another one took it. That one
 * may have left the route since: where none is left that takes files, the next file will have no place.
 */
export function passedOver({ route, failures, activePaths, asOf }: ClusterStatus): Found[] {
  // When all fail, the cluster's own finding says so.
  if (failures > 0) return []
  const failing = route.filter(
    (path) => path.active && path.failures > 0 && since(path.lastFailureTime, asOf) < fresh,
  )
  const severity = failing.length < activePaths ? 'ok' : 'warning'
  return failing.map(({ path, lastError, lastFailureTime: time }) => ({
    severity,
    text: `could not use path "${path}", last at ${prettyTime(time)}: ${withoutPath(lastError, path)}`,
    hint: `"pgarch path test ${path}" tells more.`,
  }))
}

/** Since a cluster was registered, where nothing was archived yet. */
function ageMeasure(cluster: ClusterStatus): Measure {
  const { name, active, switch: position, lastArchivedTime, createTime, asOf } = cluster
  const age = since(lastArchivedTime ?? createTime, asOf)
  const limit = active && position === 'start' ? longestAge(cluster) : undefined
  return {
    name: 'last_file_age',
    about: `cluster "${name}"`,
    value: age / 1000,
    unit: 's',
    text:
      lastArchivedTime === null
        ? `nothing was archived since it was registered, ${prettySpan(age)} ago`
        : `the last file was archived ${prettySpan(age)} ago`,
    hint: 'Run "pgarch check" on its host. Where nothing is written, nothing is archived: see docs/monitoring.md.',
    min: 0,
    ...(limit !== undefined && { warning: { start: 0, end: limit, alertsInside: false } }),
  }
}

/** Seconds. A server switches its WAL somewhat late, and pushing takes its time. */
function longestAge({ lastArchivedTime, archiveTimeoutSeconds }: ClusterStatus) {
  if (archiveTimeoutSeconds) return Math.max(3 * archiveTimeoutSeconds, archiveTimeoutSeconds + 300)
  return lastArchivedTime === null ? hour / 1000 : undefined
}

function conflicts({ name, openConflicts }: ClusterStatus): Found | undefined {
  if (openConflicts === 0) return undefined
  const hint = `See "pgarch conflict list ${name}", and docs/conflicts.md.`
  return { severity: 'critical', text: counted(openConflicts, 'conflict'), hint }
}

function switched(cluster: ClusterStatus): Found | undefined {
  const { name, switch: position, switchAuthor, switchReason } = cluster
  if (position === 'start') return undefined
  const reason = [switchAuthor, switchReason].filter((one) => one !== null).join(': ')
  const because = reason === '' ? '' : ` (${reason})`
  const hint = `Run "pgarch cluster start ${name}" to go on.`
  return position === 'stop'
    ? { severity: 'critical', text: `stopped, WAL is dropped${because}`, hint }
    : { severity: 'warning', text: `paused${because}`, hint }
}

function unrouted({ name, activePaths }: ClusterStatus): Found | undefined {
  if (activePaths > 0) return undefined
  const hint = `Give it one with "pgarch route set ${name} PATH --priority N".`
  return { severity: 'critical', text: 'no active path', hint }
}

/** Of what is told by different clocks, or a moment later; milliseconds. */
const together = 300_000

function failing(cluster: ClusterStatus): Found | undefined {
  const { failures, lastError, lastFailureTime, localTime } = cluster
  if (failures === 0) return undefined
  const text = `${counted(failures, 'failed try', 'failed tries')}: ${lastError}`
  // What no path takes may go to a local archive, as long as that takes it.
  const isTaken = localTime !== null && Number(localTime) + together >= Number(lastFailureTime)
  if (isTaken) return { severity: 'warning', text }
  return { severity: 'critical', text, hint: 'WAL waits in pg_wal, which grows.' }
}

function lost(cluster: ClusterStatus): Found | undefined {
  const { lostFiles, lostFilesAreCounted, lostTime, asOf } = cluster
  if (lostFiles === 0) return undefined
  const files = lostFilesAreCounted ? counted(lostFiles, 'file') : `${lostFiles} or more files`
  const text = `${files} only on a lost path or host`
  const hint = 'Take a base backup: what is older cannot be recovered through the gap.'
  return { severity: since(lostTime, asOf) < decided ? 'warning' : 'ok', text, hint }
}

function local({ localFiles }: ClusterStatus): Found | undefined {
  if (localFiles === 0) return undefined
  const text = `${counted(localFiles, 'file')} only in a local archive`
  const hint = 'Mend a path: the next pushes bring them there. See docs/local-archive.md.'
  return { severity: 'warning', text, hint }
}

function behind(cluster: ClusterStatus): Found | undefined {
  const lag = shippingLag(cluster, cluster.asOf)
  if (lag === undefined || cluster.shipping?.ended !== false) return undefined
  const text = `shipping is ${lag.bytes} bytes behind`
  return { severity: lag.milliseconds > longestLag ? 'warning' : 'ok', text }
}

function dropped({ droppedFiles, lastDropTime, asOf }: ClusterStatus): Found | undefined {
  if (droppedFiles === 0) return undefined
  const text = `${counted(droppedFiles, 'file was', 'files were')} dropped`
  const hint = 'Take a base backup: what is older cannot be recovered through the gap.'
  return { severity: since(lastDropTime, asOf) < decided ? 'warning' : 'ok', text, hint }
}
