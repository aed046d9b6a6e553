import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import type { ShippingState } from '../postgres/shipping-state.ts'
import { shippedDirectory } from '../stores/shipped-file.ts'
import { historyName } from '../wal/names.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import type { Leftovers } from './leftovers.ts'
import type { Outlet } from './outlet.ts'
import { nameAt, type Place, placeBefore, type Shipper } from './shipper.ts'

/**
 * Finds what earlier shippers left on a path, when it or a new directory is first written to: in that
 * directory and the one before, where this host's last shipper was, and where the timeline began. To
 * list all of a long archive would take long.
 *
 * @param before what the last shipper told
 * @param searched paths with their directories, which is added to
 */
export async function findLeftovers(
  shipper: Shipper,
  { place, path, file }: Outlet,
  leftovers: Leftovers,
  before: ShippingState | undefined,
  searched: Set<string>,
): Promise<void> {
  if (place === undefined || path === undefined) return
  const { fingerprint } = shipper.member
  const key = (directory: string) => `${path.id} ${directory}`
  const own = shippedDirectory(fingerprint, nameAt(place, shipper.member))
  if (searched.has(key(own))) return
  try {
    const places = [place, logBefore(place), placeOf(before), await beginning(shipper, place)]
    for (const one of places) {
      if (one === undefined || one.number < 0) continue
      const directory = shippedDirectory(fingerprint, nameAt(one, shipper.member))
      if (!searched.has(key(directory))) await leftovers.find(path, directory, file)
      searched.add(key(directory))
    }
  } catch (error) {
    // It is tried again with the next bytes.
    if (!(error instanceof PgarchError)) throw error
  }

  function logBefore(one: Place): Place {
    return { ...one, number: one.number - 2 ** 32 / shipper.member.walSegmentSize }
  }

  function placeOf(state: ShippingState | undefined): Place | undefined {
    if (state?.shipped === undefined || state.shipped === null) return undefined
    return placeBefore(state.timeline, state.shipped, shipper.member)
  }
}

/** Where the timeline branched off its parent, on the parent. */
async function beginning(shipper: Shipper, { timeline }: Place): Promise<Place | undefined> {
  const file = join(shipper.dataDirectory.path, 'pg_wal', historyName(timeline))
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const parent = text === undefined ? undefined : parseTimelineHistory(text, timeline).at(-1)
  return parent && placeBefore(parent.timeline, parent.switchPoint, shipper.member)
}
