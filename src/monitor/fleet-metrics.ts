import { PgarchError } from '../errors.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type PathHealth, queryDatabaseHealth, queryPathHealth } from '../schedule/health.ts'
import { queryStatus } from '../schedule/status.ts'
import { queryVolumeToday } from '../schedule/volume.ts'
import { assess } from './assessed.ts'
import { clusterMetrics } from './cluster-metrics.ts'
import type { Collected } from './collected.ts'
import { worstOf } from './finding.ts'
import { pathFindings } from './path-findings.ts'
import { pathMetrics } from './path-metrics.ts'
import { scheduleMetrics } from './schedule-metrics.ts'

/**
 * Of the whole fleet. When the scheduling database does not answer that is what there is to tell; but
 * rejects with `usage` where nobody has said which one it is.
 *
 * @param open opens the scheduling database
 * @param most clusters that have series of their own
 */
export async function collectFleet(
  open: <Result>(use: (schedule: Schedule) => Promise<Result>) => Promise<Result>,
  most: number,
): Promise<Collected> {
  const time = new Date()
  const start = performance.now()
  const reading = (health?: Fleet['health']) => ({
    time,
    seconds: (performance.now() - start) / 1000,
    health,
  })
  try {
    const { health, clusters, paths, volumes } = await open(readFleet)
    const families = [
      ...scheduleMetrics(reading(health)),
      ...clusterMetrics(clusters.map(assess), most),
      ...pathMetrics(paths.map(assessPath), volumes),
    ]
    return { families, troubles: [] }
  } catch (thrown) {
    if (!(thrown instanceof PgarchError) || thrown.failure === 'usage') throw thrown
    return { families: scheduleMetrics(reading()), troubles: [thrown] }
  }
}

type Fleet = Awaited<ReturnType<typeof readFleet>>

async function readFleet(schedule: Schedule) {
  return {
    health: await queryDatabaseHealth(schedule),
    // That files were lost is told, and not how many: to count them can take long.
    clusters: await queryStatus(schedule, null, { inBrief: true }),
    paths: await queryPathHealth(schedule, null),
    volumes: await queryVolumeToday(schedule),
  }
}

function assessPath(health: PathHealth) {
  return { ...health, severity: worstOf(pathFindings(health)) }
}
