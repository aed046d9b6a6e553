import type { Schedule } from '../schedule/connect.ts'
import { type PathHealth, queryPathHealth } from '../schedule/health.ts'
import {
  type ClusterCounts,
  type DayVolume,
  type PathVolume,
  type Period,
  queryClusterCounts,
  queryDays,
  queryPathVolumes,
  queryPeriod,
} from '../schedule/report.ts'
import {
  type ClusterFailures,
  type LastArchived,
  type Listed,
  type LocalArchive,
  type OpenConflict,
  queryClusterFailures,
  queryLocalArchives,
  queryOldest,
  queryOpenConflicts,
  querySlowest,
  type Slow,
} from '../schedule/report-lists.ts'
import { inSnapshot } from '../schedule/transaction.ts'
import { type Fullness, fullnessOf, type PathFigures } from './outlook.ts'

/** What `--format json` prints; docs/report.md describes it. Sizes are bytes, days are UTC. */
export interface Report extends Period {
  /** Grows when something that is here changes its meaning, or goes; not when something is added. */
  readonly version: 1
  readonly summary: Summary
  readonly days: readonly DayVolume[]
  readonly paths: readonly PathReport[]
  readonly clusterFailures: Listed<ClusterFailures>
  readonly localArchives: Listed<LocalArchive>
  readonly conflicts: Listed<OpenConflict>
  readonly slowest: readonly Slow[]
  readonly oldest: readonly LastArchived[]
}

export type PathReport = PathFigures & Fullness

export interface Summary extends ClusterCounts {
  /** By what became of them. */
  readonly paths: { readonly inUse: number; readonly disabled: number; readonly lost: number }
  /** As they lie on all paths that are not lost. */
  readonly files: number
  readonly storedBytes: number
  /** Of paths in use that have a capacity, as many as it says; and those that have none. */
  readonly capacity: {
    readonly paths: number
    readonly bytes: number
    readonly usedBytes: number
    /** 0 to 1; null: no path has one. */
    readonly usedShare: number | null
    readonly unknownPaths: number
  }
  /** In the period. */
  readonly archived: Omit<DayVolume, 'day'>
}

/** All of it is of one moment. Needs no more than membership in pgarch_monitor. */
export async function makeReport(schedule: Schedule, since: Date): Promise<Report> {
  return await inSnapshot(schedule, async () => {
    const period = await queryPeriod(schedule, since)
    const counts = await queryClusterCounts(schedule)
    const days = await queryDays(schedule, period)
    const paths = joinPaths(
      await queryPathHealth(schedule, null),
      await queryPathVolumes(schedule, period),
    )
    return {
      version: 1,
      ...period,
      summary: summarize(counts, days, paths),
      days,
      paths,
      clusterFailures: await queryClusterFailures(schedule, period),
      localArchives: await queryLocalArchives(schedule),
      conflicts: await queryOpenConflicts(schedule),
      slowest: await querySlowest(schedule, period),
      oldest: await queryOldest(schedule),
    }
  })
}

/** A path at which nothing has happened has health, and no volume. */
function joinPaths(healths: readonly PathHealth[], volumes: readonly PathVolume[]): PathReport[] {
  const byId = new Map(volumes.map(({ id, ...volume }) => [id, volume]))
  const none = { archivedFiles: 0, failures: 0, growth: { days: 0, bytes: 0 } }
  return healths.map((health) => {
    const path = { ...health, ...(byId.get(health.id) ?? none) }
    return { ...path, ...fullnessOf(path) }
  })
}

export function summarize(
  counts: ClusterCounts,
  days: readonly DayVolume[],
  paths: readonly PathReport[],
): Summary {
  const living = paths.filter(({ lostTime }) => lostTime === null)
  const inUse = living.filter(({ active }) => active)
  const sized = inUse.filter(({ capacityBytes }) => capacityBytes !== null)
  const bytes = sum(sized, ({ capacityBytes }) => capacityBytes ?? 0)
  const usedBytes = sum(sized, (path) => path.usedBytes)
  return {
    ...counts,
    paths: {
      inUse: inUse.length,
      disabled: living.length - inUse.length,
      lost: paths.length - living.length,
    },
    files: sum(living, ({ files }) => files),
    storedBytes: sum(living, ({ storedBytes }) => storedBytes),
    capacity: {
      paths: sized.length,
      bytes,
      usedBytes,
      usedShare: bytes === 0 ? null : usedBytes / bytes,
      unknownPaths: inUse.length - sized.length,
    },
    archived: {
      files: sum(days, ({ files }) => files),
      walBytes: sum(days, ({ walBytes }) => walBytes),
      storedBytes: sum(days, ({ storedBytes }) => storedBytes),
      failures: sum(days, ({ failures }) => failures),
    },
  }
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0)
}
