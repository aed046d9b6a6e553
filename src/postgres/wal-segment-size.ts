import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { parseWalName } from '../wal/names.ts'
import { isLongHeader, longHeaderSize, parseLongHeader } from '../wal/page-header.ts'
import type { DataDirectory } from './data-directory.ts'

/**
 * wal_segment_size in bytes, from a segment in pg_wal that this cluster wrote. (It is in pg_control
 * too, at a place that differs between versions.) A recycled segment will do: its header is old, but
 * of the same cluster. One that was allocated and never written will not. `unusable` without any.
 */
export async function findWalSegmentSize(dataDirectory: DataDirectory): Promise<number> {
  const directory = join(dataDirectory.path, 'pg_wal')
  try {
    for (const name of (await readdir(directory)).sort()) {
      if (parseWalName(name)?.kind !== 'segment') continue
      const size = await sizeFromHeader(join(directory, name), dataDirectory.systemIdentifier)
      if (size !== undefined) return size
    }
  } catch (thrown) {
    throw fileError('read directory', directory, thrown)
  }
  throw new PgarchError(
    'unusable',
    `could not find out wal_segment_size: no segment of this cluster in "${directory}"`,
    { hint: 'Start the server once: it then writes a segment.' },
  )
}

async function sizeFromHeader(path: string, systemIdentifier: string): Promise<number | undefined> {
  // The server may remove or rename a segment at any time.
  const file = await open(path).catch((thrown) => {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw thrown
  })
  if (file === undefined) return undefined
  try {
    // Of a file that is too short, the rest stays zero, which is no header either.
    const { buffer } = await file.read(Buffer.alloc(longHeaderSize))
    const header = parseLongHeader(buffer)
    const { size } = await file.stat()
    const isOurs = isLongHeader(header) && header.systemIdentifier === systemIdentifier
    return isOurs && size === header.walSegmentSize ? size : undefined
  } finally {
    await file.close()
  }
}
