import { counted, prettySpan } from '../amounts.ts'
import type { DatabaseHealth, PathHealth } from '../schedule/health.ts'
import type { ClusterStatus } from '../schedule/status.ts'
import { checkCluster } from './cluster-findings.ts'
import { checkDatabase } from './database-findings.ts'
import { type Finding, worstOf } from './finding.ts'
import { type Checked, judge, type Measure } from './measure.ts'
import { checkPath, usedShare } from './path-findings.ts'

/** Names of a fleet's measures, the main one first. */
export const fleetMeasures = [
  'last_file_age',
  'clusters',
  'clusters_critical',
  'clusters_warning',
  'conflicts',
  'local_files',
  'paths_failing',
  'used',
  'connections',
  'oldest_transaction',
  'replay_lag',
  'standby_lag',
] as const

const anotherDatabase =
  'Is it the right scheduling database? One that was lost is filled by "pgarch schedule load" and "rebuild".'

export interface Fleet {
  readonly clusters: readonly ClusterStatus[]
  readonly paths: readonly PathHealth[]
  readonly database: DatabaseHealth
}

/**
 * All that needs attention anywhere. What is wrong with a path is told of the path alone, and not of
 * every cluster that would use it.
 *
 * @param own measures that somebody set a range of: it is asked of the worst one, and of no other
 */
export function checkFleet(
  { clusters, paths, database }: Fleet,
  own: ReadonlySet<string>,
): Checked {
  const judged = ({ findings, measures }: Checked) => [
    ...findings,
    ...measures.filter(({ name }) => !own.has(name)).map(judge),
  ]
  const checked = clusters.map(checkCluster)
  const ofClusters = checked.map(judged)
  const ofPaths = paths.map(checkPath).map(judged)
  const ofDatabase = checkDatabase(database)
  const oldest = oldestOf(checked)
  const size = `${counted(clusters.length, 'cluster')} and ${counted(paths.length, 'path')}`
  const text = oldest === undefined ? size : `${size}; ${oldest.text}`
  const summary: Finding =
    clusters.length > 0
      ? { severity: 'ok', about: '', text }
      : { severity: 'unknown', about: '', text: 'no cluster is registered', hint: anotherDatabase }
  const bad = [...ofClusters, ...ofPaths].flat().filter(({ severity }) => severity !== 'ok')
  const states = ofClusters.map(worstOf)
  const counts = {
    clusters: clusters.length,
    clusters_critical: states.filter((state) => state === 'critical').length,
    clusters_warning: states.filter((state) => state === 'warning').length,
    conflicts: sum(clusters.map(({ openConflicts }) => openConflicts)),
    local_files: sum(clusters.map(({ localFiles }) => localFiles)),
    paths_failing: ofPaths.filter((found) => worstOf(found) === 'critical').length,
  }
  return {
    findings: [summary, ...bad, ...ofDatabase.findings],
    measures: [
      ...(oldest === undefined ? [] : [oldest]),
      ...Object.entries(counts).map(([name, value]): Measure => {
        const text = `${value} ${name.replace('_', ' ')}`
        return { name, value, text, about: 'fleet', unit: '', min: 0 }
      }),
      ...fullest(paths),
      ...ofDatabase.measures,
    ],
  }
}

/** Without limits: each cluster was judged by its own. */
function oldestOf(checked: readonly Checked[]): Measure | undefined {
  const ages = checked.flatMap(({ measures }) =>
    measures.filter(({ name }) => name === 'last_file_age'),
  )
  const [first, ...others] = ages
  if (first === undefined) return undefined
  const oldest = others.reduce((one, other) => (other.value > one.value ? other : one), first)
  const { warning: _, critical: __, ...measure } = oldest
  const text = `oldest last file: ${oldest.about}, ${prettySpan(oldest.value * 1000)} ago`
  return { ...measure, about: 'fleet', text }
}

/** Without limits, too. One that is disabled takes no files, and may be as full as it is. */
function fullest(paths: readonly PathHealth[]): Measure[] {
  const active = paths.filter((path) => path.active)
  const shares = active.map((path) => ({ name: path.name, share: usedShare(path) ?? -1 }))
  const most = Math.max(...shares.map(({ share }) => share), -1)
  const full = shares.find(({ share }) => share === most)
  if (full === undefined || most < 0) return []
  const text = `path "${full.name}" is the fullest, ${Math.floor(most * 100)} % used`
  return [{ name: 'used', about: 'fleet', text, value: most * 100, unit: '%', min: 0, max: 100 }]
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0)
}
