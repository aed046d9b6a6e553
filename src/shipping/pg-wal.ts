import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { isThere } from '../fs/there.ts'
import type { Member } from '../postgres/member.ts'
import { lsnAt, nameAt, type Place, placeBefore, type Shipper, statusFile } from './shipper.ts'

/**
 * Bytes of a segment in pg_wal that are flushed. 'gone': PostgreSQL has removed it, or made it another
 * one, as it does once it is archived; what was read may then have been of either.
 */
export async function readWal(
  { dataDirectory, member }: Shipper,
  place: Place,
  size: number,
): Promise<Buffer | 'gone'> {
  const path = join(dataDirectory.path, 'pg_wal', nameAt(place, member))
  try {
    const file = await open(path)
    try {
      const bytes = Buffer.allocUnsafe(size)
      for (let filled = 0; filled < size; ) {
        const { bytesRead } = await file.read(bytes, filled, size - filled, place.offset + filled)
        if (bytesRead === 0) {
          throw new PgarchError('unusable', `"${path}" ends before what the server has flushed`)
        }
        filled += bytesRead
      }
      const [opened, named] = await Promise.all([file.stat(), stat(path)])
      return opened.ino === named.ino ? bytes : 'gone'
    } finally {
      await file.close()
    }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return 'gone'
    throw fileError('read', path, thrown)
  }
}

/**
 * Where shipping begins: with the segment that holds the byte before `end`, or the first one before it
 * from which on none is archived yet, as what follows is of no use without them.
 */
export async function findStart(shipper: Shipper, timeline: number, end: bigint): Promise<Place> {
  const { member } = shipper
  let place = placeBefore(timeline, end, member)
  for (;;) {
    const before = { ...place, number: place.number - 1 }
    if (!(await hasStatus(shipper, before, 'ready'))) return place
    place = before
  }
}

/** Whether PostgreSQL has noted it as archived. */
export async function isArchived(shipper: Shipper, place: Place): Promise<boolean> {
  return await hasStatus(shipper, place, 'done')
}

/** The segment's last byte, and one more. */
export function segmentEnd(place: Place, member: Member): bigint {
  return lsnAt({ ...place, offset: member.walSegmentSize }, member)
}

async function hasStatus(
  shipper: Shipper,
  place: Place,
  status: 'ready' | 'done',
): Promise<boolean> {
  return await isThere(statusFile(shipper, nameAt(place, shipper.member), status))
}
