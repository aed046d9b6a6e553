import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { removeIfThere, removeUnfinished, syncDirectory, writeDurably } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { log } from '../log.ts'
import { deliver } from './agent.ts'
import type { Schedule } from './connect.ts'
import type { Entry, LateConflict, Membership } from './types.ts'

/*
 * What the scheduling database has not taken yet: a file for each entry, in the state directory's
 * `journal`, named by its place in the order and an id of its own, so that a name never comes back.
 * An entry is removed after its delivery; one that is delivered again counts once.
 */

/** Of the files' format. */
const version = 1

/** Entries in one call to the database, which are one transaction there. */
const batchSize = 500

const entryName = /^\d{12}-[0-9a-f-]{36}\.json$/

/** Resolves once durable. `unusable` when it cannot be written. */
export async function appendToJournal(stateDirectory: string, entry: Entry): Promise<void> {
  const folder = await makeFolder(stateDirectory)
  const last = (await entryNames(folder)).at(-1)
  const place = String(Number(last?.slice(0, 12) ?? 0) + 1).padStart(12, '0')
  const { claim } = entry
  const text = JSON.stringify({
    version,
    ...entry,
    claim: { ...claim, history: claim.history?.toString('base64') ?? null },
  })
  await writeDurably(join(folder, `${place}-${randomUUID()}.json`), text, { mode: 0o600 })
}

/** How many entries wait, and since when the oldest one does. */
export async function journalState(
  stateDirectory: string,
): Promise<{ length: number; oldest: Date | null }> {
  const folder = folderOf(stateDirectory)
  const names = await entryNames(folder)
  for (const name of names) {
    const entry = await readEntry(join(folder, name))
    if (entry !== 'gone' && entry !== 'damaged') {
      return { length: names.length, oldest: entry.events[0]?.time ?? null }
    }
  }
  return { length: names.length, oldest: null }
}

/**
 * Delivers waiting entries, the oldest first, in batches, until none is left or the time is up.
 * Resolves to what became of them; rejects as `deliver` does, with all that was not delivered kept.
 *
 * @param expires as `performance.now()` counts, which no change of the clock moves
 */
export async function deliverJournal(
  stateDirectory: string,
  schedule: Schedule,
  membership: Membership,
  expires: number,
): Promise<{ delivered: number; left: number; conflicts: LateConflict[] }> {
  const folder = folderOf(stateDirectory)
  const names = await entryNames(folder)
  const conflicts: LateConflict[] = []
  let done = 0
  while (done < names.length && performance.now() < expires) {
    const batch = names.slice(done, done + batchSize).map((name) => join(folder, name))
    const entries = await Promise.all(batch.map(readEntry))
    const readable = entries.filter((entry) => entry !== 'gone' && entry !== 'damaged')
    conflicts.push(...(await deliver(schedule, membership, readable)))
    for (const [index, file] of batch.entries()) {
      if (entries[index] === 'damaged') await setDamagedAside(file)
      else await removeIfThere(file)
    }
    await syncDirectory(folder)
    done += batch.length
  }
  return { delivered: done, left: names.length - done, conflicts }
}

function folderOf(stateDirectory: string): string {
  return join(stateDirectory, 'journal')
}

async function makeFolder(stateDirectory: string): Promise<string> {
  const folder = folderOf(stateDirectory)
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (thrown) {
    if (hasCode(thrown, 'EEXIST')) return folder
    throw fileError('create directory', folder, thrown)
  }
  await syncDirectory(stateDirectory)
  return folder
}

/** In their order. What dead writers left is removed on the way. */
async function entryNames(folder: string): Promise<string[]> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw fileError('read directory', folder, thrown)
  }
  await removeUnfinished(folder)
  return names.filter((name) => entryName.test(name)).sort()
}

/** 'gone': somebody else delivered it in the meantime. */
async function readEntry(file: string): Promise<Entry | 'gone' | 'damaged'> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return 'gone'
    throw fileError('read file', file, thrown)
  }
  try {
    const stored = JSON.parse(text)
    if (stored.version !== version) return 'damaged'
    const { history } = stored.claim
    return {
      claim: {
        ...stored.claim,
        history: history === null ? null : Buffer.from(history, 'base64'),
      },
      events: stored.events.map((event: { time: string }) => ({
        ...event,
        time: new Date(event.time),
      })),
    }
  } catch {
    return 'damaged'
  }
}

/** The copy that it tells of is still found by asking every path; a person may want to know. */
async function setDamagedAside(file: string): Promise<void> {
  log.warning(`journal entry "${file}" is damaged, and is kept as "${file}.damaged"`)
  await rename(file, `${file}.damaged`).catch((thrown) => {
    throw fileError('rename file', file, thrown)
  })
}
