import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { hasCode } from '../fs/errors.ts'
import type { SegmentName } from '../wal/names.ts'
import { checkSegmentHeader, longHeaderSize, parseLongHeader } from '../wal/page-header.ts'
import type { Target } from './target.ts'

/**
 * Whether the server has the segment itself, whole, in pg_wal beside %p. There it looks when a segment is
 * absent, and there it keeps what it was given (xlogarchive.c, KeepFileRestoredFromArchive).
 */
export async function liesInWal(segment: SegmentName, target: Target): Promise<boolean> {
  const { systemIdentifier } = target.cluster
  if (systemIdentifier === null) return false
  try {
    const file = await open(join(dirname(target.walPath), segment.name))
    try {
      const { buffer } = await file.read(Buffer.alloc(longHeaderSize), 0, longHeaderSize, 0)
      const { size } = await file.stat()
      const { walSegmentSize } = parseLongHeader(buffer)
      checkSegmentHeader(buffer, { name: segment, size, walSegmentSize, systemIdentifier })
      return true
    } finally {
      await file.close()
    }
  } catch (error) {
    // What another cluster wrote, or a segment that was recycled.
    if (error instanceof PgarchError || hasCode(error, 'ENOENT')) return false
    throw error
  }
}
