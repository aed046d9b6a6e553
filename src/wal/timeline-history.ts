import { PgarchError } from '../errors.ts'
import { parseLsn } from './lsn.ts'
import { historyName } from './names.ts'

export interface TimelineHistoryEntry {
  /** An ancestor, the oldest one first. */
  readonly timeline: number
  /** Where the next timeline forked off from it. */
  readonly switchPoint: bigint
}

/**
 * Reads a timeline history file, as strictly as PostgreSQL's readTimeLineHistory (timeline.c): blank
 * lines, comments and everything after the switch point are ignored. Stricter in one point: a file
 * without any entry is refused, because the server, which never writes one, would take it for a
 * timeline without ancestors, and recover along a wrong history.
 *
 * @param timeline the file's own, which only its name holds
 * @throws PgarchError `refused`
 */
export function parseTimelineHistory(text: string, timeline: number): TimelineHistoryEntry[] {
  const name = historyName(timeline)
  const entries: TimelineHistoryEntry[] = []
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue
    const match = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line)
    const switchPoint = parseLsn(match?.[2] ?? '')
    if (match === null || switchPoint === undefined) {
      throw new PgarchError('refused', `syntax error in history file ${name}: ${quote(line)}`, {
        hint: 'Expected a numeric timeline ID and a write-ahead log switchpoint location.',
      })
    }
    const ancestor = Number(match[1])
    if (ancestor <= (entries.at(-1)?.timeline ?? 0)) {
      throw new PgarchError('refused', `invalid data in history file ${name}: ${quote(line)}`, {
        hint: 'Timeline IDs must be in increasing sequence.',
      })
    }
    entries.push({ timeline: ancestor, switchPoint })
  }
  const parent = entries.at(-1)
  if (parent === undefined) {
    throw new PgarchError('refused', `history file ${name} names no parent timeline`, {
      hint: 'The file is empty or was truncated; the server always writes at least one line.',
    })
  }
  if (parent.timeline >= timeline) {
    throw new PgarchError('refused', `invalid data in history file ${name}`, {
      hint: "Timeline IDs must be less than child timeline's ID.",
    })
  }
  return entries
}

/** A file that is not a history file at all may have a very long first line, of any bytes. */
function quote(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}...` : line)
}
