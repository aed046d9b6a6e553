import { prettyTime } from '../amounts.ts'
import { type Assessed, assess, wrongOf } from '../monitor/assessed.ts'
import { databaseFindings } from '../monitor/database-findings.ts'
import { type Finding, type Severity, worstFirst } from '../monitor/finding.ts'
import { pathFindings } from '../monitor/path-findings.ts'
import { requireCluster } from '../schedule/clusters.ts'
import type { Schedule } from '../schedule/connect.ts'
import { queryDatabaseHealth, queryPathHealth } from '../schedule/health.ts'
import { queryStatus } from '../schedule/status.ts'
import { clusterLines, lagOf, routeOf } from './status-cluster.ts'

export interface Told {
  readonly lines: readonly string[]
  readonly isWell: boolean
}

/** Of one cluster, also a retired one; or of all that are not, by name. */
export async function readClusters(
  schedule: Schedule,
  reference: string | undefined,
): Promise<Assessed[]> {
  const one = reference === undefined ? undefined : await requireCluster(schedule, reference)
  return (await queryStatus(schedule, one?.fingerprint ?? null)).map(assess)
}

export async function tellCluster(schedule: Schedule, reference: string): Promise<Told> {
  const clusters = await readClusters(schedule, reference)
  const lines = await Promise.all(clusters.map(clusterLines))
  return { lines: lines.flat(), isWell: areWell(clusters) }
}

interface Fleet {
  readonly clusters: readonly Assessed[]
  /** What besides them needs attention. */
  readonly besides: readonly Finding[]
  readonly isWell: boolean
}

export async function readFleet(schedule: Schedule): Promise<Fleet> {
  const clusters = await readClusters(schedule, undefined)
  const paths = await queryPathHealth(schedule, null)
  const besides = wrongOf([
    ...paths.flatMap(pathFindings),
    ...databaseFindings(await queryDatabaseHealth(schedule)),
  ])
  return { clusters, besides, isWell: besides.length === 0 && areWell(clusters) }
}

export function areWell(clusters: readonly Assessed[]): boolean {
  return clusters.every(({ severity }) => severity === 'ok')
}

/** All clusters, after what besides them needs attention. */
export async function tellFleet(schedule: Schedule): Promise<Told> {
  const { rowLines, tone } = await import('../print.ts')
  const { besides, isWell, ...fleet } = await readFleet(schedule)
  const clusters = worstFirst(fleet.clusters)
  const toneOf = (severity: Severity) => (severity === 'critical' ? tone.bad : tone.doubtful)
  const table = rowLines(
    clusters,
    [
      { title: 'cluster', value: ({ name }) => name },
      { title: 'switch', value: ({ switch: position }) => position },
      { title: 'last archived', value: ({ lastWalName }) => lastWalName },
      { title: 'at', value: ({ lastArchivedTime }) => prettyTime(lastArchivedTime) },
      { title: 'route', value: routeOf },
      { title: 'shipping lag', value: lagOf },
      {
        title: 'attention',
        value: ({ concerns, severity }) =>
          severity === 'ok' ? tone.good('none') : toneOf(severity)(concerns.join('; ')),
      },
    ],
    'There are no clusters yet. See "pgarch register --help".',
  )
  const troubled = clusters.filter(({ severity }) => severity !== 'ok').length
  const summary = `${troubled} of ${clusters.length} clusters need attention.`
  const told = besides.map(({ about, text, severity }) => toneOf(severity)(`${about}: ${text}`))
  return {
    lines: [
      ...(clusters.length > 1 ? [summary] : []),
      ...told,
      ...(clusters.length > 1 || told.length > 0 ? [''] : []),
      ...table,
    ],
    isWell,
  }
}
