import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../fs/errors.ts'
import { readIfThere } from '../fs/there.ts'
import { formatLsn, parseLsn } from '../wal/lsn.ts'

/** What the shipper of a data directory last told its host. */
export interface ShippingState {
  readonly pid: number
  readonly timeline: number
  /** On a path up to here; null: nothing yet. */
  readonly shipped: bigint | null
  /** How far the server was then. */
  readonly flushed: bigint
  /** The path's name; null: none takes it. */
  readonly path: string | null
  readonly time: Date
}

/** Of the file's format. */
const version = 1

/** Replaces the state directory's ship.json. It is for people, and need not outlive a crash. */
export async function writeShippingState(
  stateDirectory: string,
  state: ShippingState,
): Promise<void> {
  const file = join(stateDirectory, 'ship.json')
  const temporary = `${file}.${process.pid}.tmp`
  const { shipped, flushed, ...rest } = state
  const lsns = {
    shipped: shipped === null ? null : formatLsn(shipped),
    flushed: formatLsn(flushed),
  }
  try {
    const text = JSON.stringify({ version, ...rest, ...lsns }, undefined, 2)
    await writeFile(temporary, `${text}\n`, { mode: 0o600 })
    await rename(temporary, file)
  } catch (thrown) {
    throw fileError('write file', file, thrown)
  }
}

/** Undefined where nothing was ever shipped, or it cannot be understood. */
export async function readShippingState(
  stateDirectory: string,
): Promise<ShippingState | undefined> {
  const file = join(stateDirectory, 'ship.json')
  const text = await readIfThere(file, 'ENOENT', 'EACCES')
  if (text === undefined) return undefined
  try {
    const { version: found, pid, timeline, shipped, flushed, path, time } = JSON.parse(text)
    const flushedLsn = parseLsn(flushed)
    if (found !== version || flushedLsn === undefined) return undefined
    const shippedLsn = shipped === null ? null : (parseLsn(shipped) ?? null)
    return { pid, timeline, shipped: shippedLsn, flushed: flushedLsn, path, time: new Date(time) }
  } catch {
    return undefined
  }
}
