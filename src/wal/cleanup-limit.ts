import { parseWalName, type SegmentName, segmentName, segmentNumber } from './names.ts'

/** What %r is while the server does not know which segment it could restart from. */
const nothingKnown = '0'.repeat(24)

/**
 * The first segment that a clean-up keeps, from a name as pg_archivecleanup takes it: that of a segment, a
 * partial one, or a backup history file. `all`: %r is zeros, and nothing may be removed. Undefined for
 * every other text.
 */
export function parseCleanupLimit(text: string): string | 'all' | undefined {
  const match = /^([0-9A-F]{24})(?:\.partial|\.[0-9A-F]{8}\.backup)?$/.exec(text)
  return match?.[1] === nothingKnown ? 'all' : match?.[1]
}

/**
 * Whether pg_archivecleanup would remove it: a segment, or a partial one, that is before the limit
 * whatever its timeline, as it may be one that a parent timeline needs.
 */
export function isBeforeLimit(walName: string, keptFrom: string): boolean {
  const kind = parseWalName(walName)?.kind
  return (kind === 'segment' || kind === 'partial') && place(walName) < place(keptFrom)
}

/**
 * As pg_standby chose it once it had restored a segment: %r where that is given, and not later than the
 * segment; else so many segments before it. `all`: nothing may be removed.
 *
 * @param limit.restart PostgreSQL's %r
 * @param limit.keep 0: all
 */
export function limitBehind(
  restored: SegmentName,
  limit: { readonly restart: string | undefined; readonly keep: number },
  walSegmentSize: number,
): string | 'all' {
  const { restart, keep } = limit
  if (restart !== undefined) {
    const keptFrom = parseCleanupLimit(restart) ?? 'all'
    return keptFrom === 'all' || keptFrom > restored.name ? 'all' : keptFrom
  }
  const number = segmentNumber(restored, walSegmentSize)
  if (number === undefined || keep === 0 || keep >= number) return 'all'
  return segmentName(restored.timeline, number - keep, walSegmentSize)
}

/** Of two names the one that is earlier in the WAL compares as less. */
function place(name: string): string {
  return name.slice(8, 24)
}
