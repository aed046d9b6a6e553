import type { ClusterStatus } from '../schedule/status.ts'
import { parseLsn } from '../wal/lsn.ts'
import { parseWalName, segmentNumber, segmentStart } from '../wal/names.ts'

/** How far shipping is behind the cluster's primary, as far as anybody has told. */
export interface ShippingLag {
  readonly bytes: number
  /** Since all was shipped; 0: all is. */
  readonly milliseconds: number
}

/**
 * By what the shipper told, or what was archived since: one that has died tells nothing, but the archive
 * goes on. Undefined where nothing is shipped.
 */
export function shippingLag(
  { shipping, lastWalName, walSegmentSize }: ClusterStatus,
  now: Date,
): ShippingLag | undefined {
  const shipped = parseLsn(shipping?.shippedLsn ?? '')
  if (shipping === null || shipped === undefined) return undefined
  const ends = [
    parseLsn(shipping.flushLsn ?? '') ?? 0n,
    archivedEnd(lastWalName, shipping.timeline, walSegmentSize),
  ]
  const bytes = Math.max(...ends.map((end) => Number(end - shipped)), 0)
  if (bytes === 0) return { bytes, milliseconds: 0 }
  return { bytes, milliseconds: Math.max(now.getTime() - shipping.caughtUpTime.getTime(), 0) }
}

function archivedEnd(walName: string | null, timeline: number, walSegmentSize: number): bigint {
  const name = parseWalName(walName ?? '')
  if (name?.kind !== 'segment' || name.timeline !== timeline) return 0n
  return segmentStart((segmentNumber(name, walSegmentSize) ?? -1) + 1, walSegmentSize)
}
