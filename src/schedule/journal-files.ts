import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { removeUnfinished, syncDirectory } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { namesIfThere } from '../fs/folder.ts'
import { readIfThere } from '../fs/there.ts'
import { log } from '../log.ts'
import type { Entry, Membership } from './types.ts'

/*
 * `journal` in the state directory has a folder for each cluster, as a data directory may become another
 * one's; in it a file for each entry, named by its place in the order and an id of its own, so that a
 * name never comes back. Before version 2 entries lay in `journal` itself, and named no cluster.
 */

/** Of the files' format. */
const version = 2

const entryName = /^\d{12}-[0-9a-f-]{36}\.json$/

const folderName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Who archived what an entry tells of, and for which cluster. */
export interface Owner extends Membership {
  /** uuid */
  readonly fingerprint: string
}

export function journalOf(stateDirectory: string): string {
  return join(stateDirectory, 'journal')
}

export function folderOf(stateDirectory: string, fingerprint: string): string {
  return join(journalOf(stateDirectory), fingerprint)
}

/** The cluster's folder, which is there now. */
export async function makeFolder(stateDirectory: string, fingerprint: string): Promise<string> {
  const folder = folderOf(stateDirectory, fingerprint)
  await makeDirectory(stateDirectory, journalOf(stateDirectory))
  await makeDirectory(journalOf(stateDirectory), folder)
  return folder
}

/** Fingerprints of the clusters that had entries once. */
export async function journaledClusters(stateDirectory: string): Promise<string[]> {
  return (await namesIfThere(journalOf(stateDirectory))).filter((name) => folderName.test(name))
}

/** In their order. What dead writers left is removed on the way. */
export async function entryNames(folder: string): Promise<string[]> {
  const names = await namesIfThere(folder)
  if (names.length > 0) await removeUnfinished(folder)
  return names.filter((name) => entryName.test(name)).sort()
}

/** Brings entries from before version 2 to those of the cluster whose state directory it has been. */
export async function fileOldEntries(stateDirectory: string, fingerprint: string): Promise<void> {
  const journal = journalOf(stateDirectory)
  const names = await entryNames(journal)
  if (names.length === 0) return
  const folder = await makeFolder(stateDirectory, fingerprint)
  for (const name of names) {
    const file = join(journal, name)
    await rename(file, join(folder, name)).catch((thrown) => {
      // Somebody else did it in the meantime.
      if (!hasCode(thrown, 'ENOENT')) throw fileError('rename file', file, thrown)
    })
  }
  await syncDirectory(folder)
  await syncDirectory(journal)
}

export function encodeEntry(entry: Entry, { fingerprint, memberId }: Owner): string {
  const { claim } = entry
  const history = claim.history?.toString('base64') ?? null
  return JSON.stringify({ version, fingerprint, memberId, ...entry, claim: { ...claim, history } })
}

/** 'gone': somebody else delivered it in the meantime. */
export async function readEntry(
  file: string,
  fingerprint: string,
): Promise<Entry | 'gone' | 'damaged'> {
  const text = await readIfThere(file)
  if (text === undefined) return 'gone'
  try {
    const stored = JSON.parse(text)
    const isOurs = stored.version === version && stored.fingerprint === fingerprint
    if (!isOurs && stored.version !== 1) return 'damaged'
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
export async function setDamagedAside(file: string): Promise<void> {
  log.warning(`journal entry "${file}" is damaged, and is kept as "${file}.damaged"`)
  await rename(file, `${file}.damaged`).catch((thrown) => {
    throw fileError('rename file', file, thrown)
  })
}

async function makeDirectory(parent: string, path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (thrown) {
    if (hasCode(thrown, 'EEXIST')) return
    throw fileError('create directory', path, thrown)
  }
  await syncDirectory(parent)
}
