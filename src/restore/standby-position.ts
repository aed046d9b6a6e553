import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { readControlFile } from '../postgres/control-file.ts'
import type { Connection } from '../postgres/production.ts'
import { readReplay } from '../postgres/replay.ts'
import { lastRestoredSegment } from '../postgres/restored-segments.ts'
import { findWalSegmentSize } from '../postgres/wal-segment-size.ts'
import { withScheduling } from '../resources.ts'
import { type ArchivedAfter, queryArchivedAfter } from '../schedule/archived.ts'
import { formatLsn } from '../wal/lsn.ts'
import { segmentName } from '../wal/names.ts'
import type { StandbyHost } from './standby-host.ts'

/** Where a server in recovery stands between its beginning and the end of what is archived. */
export interface StandbyPosition {
  /** What it has replayed; `isExact`: no more than that, by its own word. */
  readonly replayed: { readonly lsn: bigint; readonly isExact: boolean; readonly time: Date | null }
  /** The segment that it is in; null: nobody knows how large segments are. */
  readonly segment: string | null
  /** Or why nobody can tell. */
  readonly archived: ArchivedAfter | PgarchError
}

/** Asks the server, where it can be asked, its files, and the scheduling database. */
export async function readPosition(
  host: StandbyHost,
  connection: Connection | undefined,
  clusterName: string | null,
  config: Config,
): Promise<StandbyPosition> {
  const { dataDirectory, member } = host
  const { redo, timeline } = await readControlFile(dataDirectory.path)
  const size = member?.walSegmentSize ?? (await findWalSegmentSize(dataDirectory).catch(unknown))
  const replay = connection && (await readReplay(connection))
  const restored = await lastRestoredSegment(dataDirectory.path)
  const nameOf = (lsn: bigint) =>
    size instanceof PgarchError ? null : segmentName(timeline, Number(lsn / BigInt(size)), size)
  const isExact = replay?.lsn !== undefined
  const lsn = replay?.lsn ?? redo
  // At a segment's first byte all of the one before is replayed, and nothing of this one.
  const segment = isExact ? nameOf(lsn - 1n) : (restored ?? nameOf(lsn))
  const cluster = {
    systemIdentifier: dataDirectory.systemIdentifier,
    clusterName,
    fingerprint: clusterName === null ? (member?.fingerprint ?? null) : null,
  }
  const archived = await withScheduling(config, (schedule) =>
    queryArchivedAfter(schedule, cluster, segment),
  ).catch(unknown)
  return { replayed: { lsn, isExact, time: replay?.time ?? null }, segment, archived }
}

/** What cannot be known must not keep anybody from a failover. */
function unknown(error: unknown): PgarchError {
  if (error instanceof PgarchError) return error
  throw error
}

/** In words: what is archived, replayed, still to be applied, and missing. A line each. */
export function describePosition({ replayed, segment, archived }: StandbyPosition): string[] {
  const { lsn, isExact, time } = replayed
  const upTo = isExact
    ? `up to ${formatLsn(lsn)}${segment === null ? '' : `, in segment ${segment}`}`
    : `at least up to ${formatLsn(lsn)}, the last restartpoint` +
      (segment === null ? '' : `; it was given segments up to ${segment}`)
  const last = time === null ? '' : `; last transaction of ${time.toISOString()}`
  const replay = `replayed   ${upTo}${last}`
  if (archived instanceof PgarchError) {
    return [`archived   not known: ${archived.message}`, replay, 'missing    not known']
  }
  const { archived: waiting, missing, firstMissing } = archived
  if (archived.last === null) {
    return [`archived   nothing of cluster "${archived.clusterName}"`, replay]
  }
  const { walName, time: claimed } = archived.last
  const end = `archived   up to ${walName}, of ${claimed.toISOString()}, of cluster "${archived.clusterName}"`
  if (waiting === null) return [end, replay, 'missing    not known']
  return [
    end,
    replay,
    `to apply   ${segments(waiting)} after that one`,
    firstMissing === null
      ? 'missing    nothing between'
      : `missing    ${segments(missing ?? 0)}, the first ${firstMissing}: recovery cannot go past it`,
  ]
}

function segments(count: number): string {
  if (count === 0) return 'no segment'
  return `${count} ${count === 1 ? 'segment' : 'segments'}`
}
