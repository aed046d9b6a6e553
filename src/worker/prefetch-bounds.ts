/** Bytes: as much as one segment of the largest wal_segment_size that there is. */
const largestSpool = 1024 ** 3

/** How many segments are fetched ahead at the most: so many as are wanted, but no more than 1 GB of them. */
export function mostAhead(wanted: number, walSegmentSize: number): number {
  return Math.min(wanted, largestSpool / walSegmentSize)
}
