import { PgarchError } from '../errors.ts'
import { formatLsn } from '../wal/lsn.ts'
import { historyName } from '../wal/names.ts'
import type { TimelineHistoryEntry } from '../wal/timeline-history.ts'
import type { Position } from './production.ts'

/** A timeline, and the ancestors that its history file names. */
export interface History {
  readonly timeline: number
  readonly ancestors: readonly TimelineHistoryEntry[]
}

/**
 * Throws `refused` when one of these timelines branched off the position's own, at or before it: another
 * server was promoted, and what this one writes since belongs to nobody's history.
 */
export function refuseIfEnded(
  { timeline, flushed }: Position,
  histories: readonly History[],
): void {
  for (const history of histories) {
    const fork = history.ancestors.find((one) => one.timeline === timeline)
    if (fork === undefined || fork.switchPoint > flushed) continue
    throw new PgarchError(
      'refused',
      `timeline ${timeline} has ended: timeline ${history.timeline} branched off it at ${formatLsn(fork.switchPoint)}, and this server is at ${formatLsn(flushed)}`,
      {
        hint: `Another server was promoted, and nothing was shipped since. If that was undone, set ${historyName(history.timeline)} aside: see docs/ship.md.`,
      },
    )
  }
}
