import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, hasCode } from '../fs/errors.ts'
import { namesIfThere } from '../fs/folder.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { readLife } from '../postgres/life.ts'
import type { Member } from '../postgres/member.ts'
import { readPushFailure } from '../postgres/push-failure.ts'
import { listReadyFiles, statusDirectoryOf } from '../postgres/ready-files.ts'
import { type CachedRoute, readCachedRoute } from '../schedule/cached-route.ts'

/** How archiving goes, by what lies on this host. */
export interface HostArchiving {
  readonly ready: ReadyFiles
  /** The last one of a file that still waits; undefined: there is none. */
  readonly failure: ArchivingFailure | undefined
  /** Undefined: nothing was pushed yet. */
  readonly route: CachedRoute | undefined
}

/** What PostgreSQL wants archived. */
export interface ReadyFiles {
  readonly count: number
  /** When the first of them became ready; undefined: none is. */
  readonly oldest: Date | undefined
}

export interface ArchivingFailure {
  readonly walName: string
  readonly time: Date
  readonly reason: string
  readonly hint: string | null
}

/** Rejects with `unusable` when any of it cannot be read. */
export async function readHostArchiving(
  { path }: DataDirectory,
  stateDirectory: string,
  { fingerprint }: Member,
): Promise<HostArchiving> {
  const names = await listReadyFiles(path)
  const times = await readyTimes(path, names)
  const oldest = times.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY)
  return {
    ready: { count: times.length, oldest: times.length === 0 ? undefined : new Date(oldest) },
    failure: await readFailure(path, stateDirectory, new Set(names)),
    route: await readCachedRoute(stateDirectory, fingerprint),
  }
}

/** Files whose times are asked for at once: a long backlog has a hundred thousand. */
const batch = 1000

/** Milliseconds since the epoch, without those of files that were archived meanwhile. */
async function readyTimes(dataDirectory: string, names: readonly string[]): Promise<number[]> {
  const directory = statusDirectoryOf(dataDirectory)
  const times: number[] = []
  for (let from = 0; from < names.length; from += batch) {
    const files = names.slice(from, from + batch).map((name) => join(directory, `${name}.ready`))
    const found = await Promise.all(files.map(timeOf))
    times.push(...found.filter((time) => time !== undefined))
  }
  return times
}

async function timeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw fileError('look at file', file, thrown)
  }
}

/** By what the worker left for the launcher, and what the last push that failed left. */
async function readFailure(
  dataDirectory: string,
  stateDirectory: string,
  waiting: ReadonlySet<string>,
): Promise<ArchivingFailure | undefined> {
  const life = await readLife(dataDirectory)
  const ofWorker =
    life === undefined ? [] : await readWorkerFailures(join(stateDirectory, 'failed', life.name))
  const ofPush = await readPushFailure(stateDirectory)
  return [...ofWorker, ...(ofPush === undefined ? [] : [ofPush])]
    .filter(({ walName }) => waiting.has(walName))
    .reduce<ArchivingFailure | undefined>(
      (last, one) => (last === undefined || one.time > last.time ? one : last),
      undefined,
    )
}

async function readWorkerFailures(folder: string): Promise<ArchivingFailure[]> {
  // One that is being written begins with a full stop.
  const files = (await namesIfThere(folder)).filter((name) => !name.startsWith('.'))
  return (await Promise.all(files.map((walName) => readWorkerFailure(folder, walName)))).flat()
}

async function readWorkerFailure(folder: string, walName: string): Promise<ArchivingFailure[]> {
  const file = join(folder, walName)
  try {
    const [text, { mtime: time }] = await Promise.all([readFile(file, 'utf8'), stat(file)])
    return [{ walName, time, ...parseTroubles(text) }]
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw fileError('read file', file, thrown)
  }
}

/** The last error, or else the last warning, of lines as they are for the server's log, and its hint. */
export function parseTroubles(text: string): { reason: string; hint: string | null } {
  const troubles = [...text.matchAll(/^pgarch: ([A-Z]+): {2}(.*)(?:\npgarch: HINT: {2}(.*))?$/gm)]
  const told = troubles.findLast(([, severity]) => severity === 'ERROR') ?? troubles.at(-1)
  return { reason: told?.[2] ?? 'no reason was noted', hint: told?.[3] ?? null }
}
