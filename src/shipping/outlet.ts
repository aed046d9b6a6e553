import { randomBytes } from 'node:crypto'
import { PgarchError } from '../errors.ts'
import type { Route, SchedulePath } from '../schedule/types.ts'
import {
  type Frames,
  largestFrame,
  openFrames,
  type Shipment,
  shippedName,
} from '../stores/shipped-file.ts'
import type { Leftovers } from './leftovers.ts'
import { findStart, isArchived, readWal, segmentEnd } from './pg-wal.ts'
import type { Position } from './production.ts'
import { lsnAt, nameAt, type Place, type Shipper } from './shipper.ts'

/** Where WAL goes: one shipped file after another, on one path as long as that takes them. */
export interface Outlet {
  /** How far it is; undefined: nothing was shipped, or it has to begin anew. */
  readonly place: Place | undefined
  /** All before it is shipped, or archived; undefined without a place. */
  readonly shipped: bigint | undefined
  /** Up to where it was last to ship; undefined: nowhere yet. */
  readonly wanted: bigint | undefined
  /** To which the last bytes went. */
  readonly path: SchedulePath | undefined
  /** The shipped file that is being written, as its path names it. */
  readonly file: string | undefined
  /** Whether the server has more. */
  isBehind(position: Position): boolean
  /**
   * Ships all up to a position. A path that fails is left for the next one, where it begins anew with what
   * is not archived; `unreachable` when no path is left.
   */
  ship(position: Position, route: Route, signal: AbortSignal): Promise<void>
  /** The server may be another one by the time it goes on. */
  reset(): void
}

/** A shipped file that is being written. */
interface Growing {
  readonly path: SchedulePath
  readonly name: string
  readonly segment: string
  readonly frames: Frames
  /** Bytes of it that are durable. */
  length: number
  /** Its path was reached, and has not refused to begin it. */
  mayExist: boolean
}

export function openOutlet(shipper: Shipper, leftovers: Leftovers): Outlet {
  const { member, connections, rests, outages, config } = shipper
  let place: Place | undefined
  let file: Growing | undefined
  let path: SchedulePath | undefined
  let wanted: bigint | undefined

  function isBehind({ timeline, flushed }: Position): boolean {
    return place === undefined || place.timeline !== timeline || lsnAt(place, member) !== flushed
  }

  function leaveFile(): void {
    if (file?.mayExist) leftovers.add(file.path, file.name)
    file = undefined
  }

  function reset(): void {
    leaveFile()
    place = undefined
  }

  function begin(at: Place, route: Route, failed: ReadonlySet<number>): Growing {
    const chosen = choosePath(route, failed)
    const segment = nameAt(at, member)
    const { systemIdentifier, walSegmentSize } = member
    const cluster = { fingerprint: route.fingerprint, systemIdentifier, walSegmentSize }
    const shipment: Shipment = { ...cluster, segment, id: randomBytes(8).toString('hex') }
    const frames = openFrames(shipment, config.compressionLevel)
    return {
      path: chosen,
      name: shippedName(shipment),
      segment,
      frames,
      length: 0,
      mayExist: false,
    }
  }

  /** As a push does: those that rest are passed over, unless there is no other. */
  function choosePath({ paths, clusterName }: Route, failed: ReadonlySet<number>): SchedulePath {
    const left = paths.filter(({ id }) => !failed.has(id))
    const chosen = left.find(({ id }) => !rests.isResting(String(id))) ?? left[0]
    if (chosen !== undefined) return chosen
    throw paths.length === 0
      ? new PgarchError('unusable', `cluster "${clusterName}" has no active archive path`, {
          hint: 'Add one with "pgarch path add" and "pgarch route set".',
        })
      : new PgarchError('unreachable', `no path of cluster "${clusterName}" takes what is shipped`)
  }

  async function append(to: Growing, wal: Buffer, signal: AbortSignal): Promise<void> {
    const frame = await to.frames.next(wal)
    const bytes = to.length === 0 ? Buffer.concat([to.frames.start, frame]) : frame
    await connections.withPath(to.path, (store) => {
      to.mayExist = true
      return store.append(to.name, to.length, bytes, signal)
    })
    to.length += bytes.length
  }

  /** False when the path has failed. What that call wrote may come later still: its file is left. */
  async function tryAppend(to: Growing, wal: Buffer, signal: AbortSignal): Promise<boolean> {
    try {
      await append(to, wal, signal)
      rests.note(String(to.path.id), 'worked')
      outages.end(`path ${to.path.id}`, `path "${to.path.name}" takes what is shipped again`)
      path = to.path
      return true
    } catch (error) {
      if (!(error instanceof PgarchError)) throw error
      if (error.failure !== 'damaged') rests.note(String(to.path.id), 'failed')
      if (to.length === 0 && error.failure === 'unusable') to.mayExist = false
      outages.begin(`path ${to.path.id}`, error.message, error.hint)
      return false
    }
  }

  /** Past the end of a segment. */
  function advance(from: Place): Place {
    leaveFile()
    return { ...from, number: from.number + 1, offset: 0 }
  }

  async function ship(position: Position, route: Route, signal: AbortSignal): Promise<void> {
    const { timeline, flushed } = position
    wanted = flushed
    // Backwards only goes a server whose data directory was replaced.
    if (place !== undefined && (place.timeline !== timeline || lsnAt(place, member) > flushed)) {
      reset()
    }
    // Disabled, or taken out of the route: then nobody will ask it what was shipped.
    if (file !== undefined && !isIn(route, file.path)) reset()
    const failed = new Set<number>()
    place ??= await findStart(shipper, timeline, flushed)
    while (lsnAt(place, member) < flushed) {
      signal.throwIfAborted()
      const end = segmentEnd(place, member)
      const isFinished = end <= flushed
      if (isFinished && file === undefined && (await isArchived(shipper, place))) {
        place = advance(place)
        continue
      }
      const left = (isFinished ? end : flushed) - lsnAt(place, member)
      const wal = await readWal(shipper, place, Number(left < largest ? left : largest))
      if (wal === 'gone') {
        if (!isFinished) {
          throw new PgarchError('unusable', `pg_wal has no "${nameAt(place, member)}"`)
        }
        place = advance(place)
        continue
      }
      file ??= begin(place, route, failed)
      if (await tryAppend(file, wal, signal)) {
        const offset: number = place.offset + wal.length
        place = offset === member.walSegmentSize ? advance(place) : { ...place, offset }
      } else {
        failed.add(file.path.id)
        reset()
        place = await findStart(shipper, timeline, flushed)
      }
    }
  }

  return {
    get place() {
      return place
    },
    get shipped() {
      return place && lsnAt(place, member)
    },
    get wanted() {
      return wanted
    },
    get file() {
      return file?.name
    },
    get path() {
      return path
    },
    isBehind,
    ship,
    reset,
  }
}

function isIn({ paths }: Route, path: SchedulePath): boolean {
  return paths.some(({ id }) => id === path.id)
}

const largest = BigInt(largestFrame)
