import { dirname, isAbsolute, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { removeIfThere, syncDirectory, writeDurably } from '../fs/durable.ts'
import { readIfThere } from '../fs/there.ts'

/** Of the file's format. */
const version = 1

/**
 * That this host has a local archive for a data directory, and where. Without this memory an archive
 * whose disk is not mounted could not be told from one that was never used.
 */
export interface LocalArchiveRecord {
  /** What local_archive.directory was when it was claimed; absolute. */
  readonly directory: string
  /** The id of the member that claimed it: its folder in there, and what `pgarch-path` carries. */
  readonly uuid: string
}

/** Undefined: there is none. `unusable` when what is there cannot be read or understood. */
export async function readLocalArchiveRecord(
  stateDirectory: string,
): Promise<LocalArchiveRecord | undefined> {
  const file = recordFile(stateDirectory)
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  const record = parse(text)
  if (record !== undefined) return record
  throw new PgarchError('unusable', `"${file}" is damaged`, {
    hint: 'It tells where the local archive lies. Remove it, and the next push writes it again.',
  })
}

export async function writeLocalArchiveRecord(
  stateDirectory: string,
  { directory, uuid }: LocalArchiveRecord,
): Promise<void> {
  const text = `${JSON.stringify({ version, directory, uuid }, undefined, 2)}\n`
  await writeDurably(recordFile(stateDirectory), text, { mode: 0o600 })
}

export async function forgetLocalArchive(stateDirectory: string): Promise<void> {
  const file = recordFile(stateDirectory)
  await removeIfThere(file)
  await syncDirectory(dirname(file))
}

export function recordFile(stateDirectory: string): string {
  return join(stateDirectory, 'local-archive.json')
}

function parse(text: string): LocalArchiveRecord | undefined {
  try {
    const stored = JSON.parse(text)
    const { directory, uuid } = stored
    const isValid =
      stored.version === version && isAbsolute(directory) && /^[0-9a-f-]{36}$/.test(uuid)
    return isValid ? { directory, uuid } : undefined
  } catch {
    return undefined
  }
}
