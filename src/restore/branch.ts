import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { findWalSegmentSize } from '../postgres/wal-segment-size.ts'
import { historyName, type SegmentName, segmentNumber } from '../wal/names.ts'
import { parseTimelineHistory, type TimelineHistoryEntry } from '../wal/timeline-history.ts'
import { askArchive } from './ask-archive.ts'
import { temporaryName } from './place.ts'
import type { Target } from './target.ts'

/** The newest timeline, where its way leads from the timeline of a segment that is waited for. */
export interface Branch {
  readonly timeline: number
  /** It begins in this segment; or the server has replayed beyond it, and can never follow. */
  readonly begins: 'here' | 'before'
}

/**
 * Looks whether a timeline was archived that branches off from the server's. The newest alone counts, as
 * it does for `recovery_target_timeline = 'latest'`; one whose history lies in pg_wal the server follows
 * already.
 */
export async function findBranch(
  segment: SegmentName,
  dataDirectory: DataDirectory,
  target: Target,
  config: Config,
): Promise<Branch | undefined> {
  let newest: { timeline: number; history: TimelineHistoryEntry[] } | undefined
  for (let timeline = segment.timeline + 1; ; timeline++) {
    const history = await readHistory(timeline, target, config)
    if (history === undefined) break
    newest = { timeline, history }
  }
  if (newest === undefined) return undefined
  if (existsSync(join(dirname(target.walPath), historyName(newest.timeline)))) return undefined
  const entry = newest.history.find(({ timeline }) => timeline === segment.timeline)
  const walSegmentSize = await findWalSegmentSize(dataDirectory)
  const number = segmentNumber(segment, walSegmentSize)
  if (entry === undefined || number === undefined) return undefined
  const begin = Number(entry.switchPoint / BigInt(walSegmentSize))
  if (number < begin) return undefined
  return { timeline: newest.timeline, begins: number === begin ? 'here' : 'before' }
}

/** Undefined also when nobody can tell. */
async function readHistory(
  timeline: number,
  target: Target,
  config: Config,
): Promise<TimelineHistoryEntry[] | undefined> {
  const walPath = temporaryName(target.walPath)
  try {
    const { outcome } = await askArchive(historyName(timeline), { ...target, walPath }, config)
    if (outcome !== 'placed') return undefined
    return parseTimelineHistory(await readFile(walPath, 'utf8'), timeline)
  } finally {
    await rm(walPath, { force: true })
  }
}
