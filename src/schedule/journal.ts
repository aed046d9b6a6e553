import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { earliest } from '../earliest.ts'
import { removeIfThere, syncDirectory, writeDurably } from '../fs/durable.ts'
import { deliver } from './agent.ts'
import type { Schedule } from './connect.ts'
import {
  encodeEntry,
  entryNames,
  fileOldEntries,
  folderOf,
  journaledClusters,
  journalOf,
  makeFolder,
  type Owner,
  readEntry,
  setDamagedAside,
} from './journal-files.ts'
import type { Entry, LateConflict } from './types.ts'

/*
 * What the scheduling database has not taken yet. An entry is removed after its delivery; one that is
 * delivered again counts once. It is delivered for the cluster that it was made for, or not at all.
 */

/**
 * Entries in one call to the database, which are one transaction there. More each time while it is
 * quick: one that is slow, as after an outage of a whole fleet, must not run out of time for ever.
 */
const batch = { first: 10, largest: 500, quickMilliseconds: 250 }

/** Resolves once durable. `unusable` when it cannot be written. */
export async function appendToJournal(
  stateDirectory: string,
  owner: Owner,
  entry: Entry,
): Promise<void> {
  await fileOldEntries(stateDirectory, owner.fingerprint)
  const folder = await makeFolder(stateDirectory, owner.fingerprint)
  const last = (await entryNames(folder)).at(-1)
  const place = String(Number(last?.slice(0, 12) ?? 0) + 1).padStart(12, '0')
  const file = join(folder, `${place}-${randomUUID()}.json`)
  await writeDurably(file, encodeEntry(entry, owner), { mode: 0o600 })
}

export interface JournalState {
  /** How many entries wait. */
  readonly length: number
  /** Since when the oldest one does. */
  readonly oldest: Date | null
  /** How many of them are of other clusters than the one that is asked for. */
  readonly ofOthers: number
}

/** @param fingerprint of the cluster that is asked for; undefined: nobody can tell whose are others' */
export async function journalState(
  stateDirectory: string,
  fingerprint: string | undefined,
): Promise<JournalState> {
  const unnamed = await folderState(journalOf(stateDirectory), fingerprint ?? '')
  const states = [unnamed]
  let ofOthers = 0
  for (const cluster of await journaledClusters(stateDirectory)) {
    const state = await folderState(folderOf(stateDirectory, cluster), cluster)
    states.push(state)
    if (fingerprint !== undefined && cluster !== fingerprint) ofOthers += state.length
  }
  const times = states.map(({ oldest }) => oldest).filter((time) => time !== null)
  return {
    length: states.reduce((sum, { length }) => sum + length, 0),
    oldest: earliest(times) ?? null,
    ofOthers,
  }
}

/**
 * Delivers the waiting entries of the owner's cluster, the oldest first, in batches, until none is left
 * or the time is up. Resolves to what became of them; rejects as `deliver` does, with all that was not
 * delivered kept.
 *
 * @param expires as `performance.now()` counts, which no change of the clock moves
 */
export async function deliverJournal(
  stateDirectory: string,
  schedule: Schedule,
  owner: Owner,
  expires: number,
): Promise<{ delivered: number; left: number; conflicts: LateConflict[] }> {
  const { fingerprint } = owner
  await fileOldEntries(stateDirectory, fingerprint)
  const folder = folderOf(stateDirectory, fingerprint)
  const names = await entryNames(folder)
  const conflicts: LateConflict[] = []
  let delivered = 0
  let done = 0
  let size = batch.first
  while (done < names.length && performance.now() < expires) {
    const files = names.slice(done, done + size).map((name) => join(folder, name))
    const entries = await Promise.all(files.map((file) => readEntry(file, fingerprint)))
    const readable = entries.filter((entry) => entry !== 'gone' && entry !== 'damaged')
    const start = performance.now()
    conflicts.push(...(await deliver(schedule, owner, readable)))
    const isQuick = performance.now() - start < batch.quickMilliseconds
    size = isQuick ? Math.min(2 * size, batch.largest) : Math.ceil(size / 2)
    for (const [index, file] of files.entries()) {
      if (entries[index] === 'damaged') await setDamagedAside(file)
      else await removeIfThere(file)
    }
    await syncDirectory(folder)
    delivered += readable.length
    done += files.length
  }
  return { delivered, left: names.length - done, conflicts }
}

async function folderState(
  folder: string,
  fingerprint: string,
): Promise<{ length: number; oldest: Date | null }> {
  const names = await entryNames(folder)
  for (const name of names) {
    const entry = await readEntry(join(folder, name), fingerprint)
    if (entry !== 'gone' && entry !== 'damaged') {
      return { length: names.length, oldest: entry.events[0]?.time ?? null }
    }
  }
  return { length: names.length, oldest: null }
}
