import { freeNow, type PathHealth } from '../schedule/health.ts'
import { growthDays, type PathVolume } from '../schedule/report.ts'

export type PathFigures = PathHealth & Omit<PathVolume, 'id'>

/** How full a path is, and when it will be. */
export interface Fullness {
  /** As it was declared, else of its file system; null: nobody knows. */
  readonly capacityBytes: number | null
  /** Of that; where it was declared, what lies there by the scheduling database alone. */
  readonly usedBytes: number
  /** 0 to 1, and beyond where more lies there than was declared; null without a capacity. */
  readonly usedShare: number | null
  readonly growthBytesPerDay: number | null
  readonly outlook: Outlook
}

/**
 * - `full`: it takes no more
 * - `fills`: at this growth it is full in so many days, on that day (UTC)
 * - `steady`: at this growth it is not full within ten years
 * - `unknown`: it cannot be told
 */
export type Outlook =
  | { readonly state: 'full' | 'steady' }
  | { readonly state: 'fills'; readonly days: number; readonly date: string }
  | { readonly state: 'unknown'; readonly reason: Unknown }

/** `few-days`: its growth is known of less than three whole days. */
export type Unknown = 'not-in-use' | 'no-capacity' | 'few-days'

const fewestDays = 3
const mostDays = 3650
const dayMilliseconds = 86_400_000

/** Whichever comes first counts: what was declared, or the file system's space but for the reserve. */
export function fullnessOf(path: PathFigures): Fullness {
  const { capacityBytes: declared, storedBytes, growth } = path
  const fileSystem = fileSystemOf(path)
  const capacityBytes = declared ?? fileSystem?.sizeBytes ?? null
  const usedBytes =
    declared === null && fileSystem !== undefined
      ? fileSystem.sizeBytes - fileSystem.freeBytes
      : storedBytes
  const perDay = growth.days >= fewestDays ? growth.bytes / growth.days : null
  const rooms = [
    declared === null ? [] : declared - storedBytes,
    fileSystem === undefined ? [] : fileSystem.freeBytes - path.reserveBytes,
  ].flat()
  return {
    capacityBytes,
    usedBytes,
    usedShare: capacityBytes === null || capacityBytes === 0 ? null : usedBytes / capacityBytes,
    growthBytesPerDay: perDay,
    outlook: outlookOf(path, rooms.length === 0 ? null : Math.min(...rooms), perDay),
  }
}

function outlookOf(
  { active, lostTime, asOf }: PathFigures,
  room: number | null,
  perDay: number | null,
): Outlook {
  if (!active || lostTime !== null) return { state: 'unknown', reason: 'not-in-use' }
  if (room === null) return { state: 'unknown', reason: 'no-capacity' }
  if (room <= 0) return { state: 'full' }
  if (perDay === null) return { state: 'unknown', reason: 'few-days' }
  const days = perDay > 0 ? room / perDay : Number.POSITIVE_INFINITY
  if (days > mostDays) return { state: 'steady' }
  const date = new Date(asOf.getTime() + days * dayMilliseconds).toISOString().slice(0, 10)
  return { state: 'fills', days: Math.floor(days), date }
}

/** Undefined when it never told, or too long ago to say anything. */
function fileSystemOf(path: PathFigures) {
  const { spaceTime, sizeBytes, asOf } = path
  const freeBytes = freeNow(path)
  if (spaceTime === null || sizeBytes === null || freeBytes === undefined) return undefined
  if (asOf.getTime() - spaceTime.getTime() > growthDays * dayMilliseconds) return undefined
  return { freeBytes, sizeBytes }
}
