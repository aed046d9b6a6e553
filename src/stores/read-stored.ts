import { PgarchError } from '../errors.ts'
import type { Entry, FileAccess } from './file-access.ts'
import type { Hashing } from './hashing.ts'
import type { Digest, PathDescription } from './store.ts'
import { decode } from './stored-file.ts'
import type { Watch } from './watch.ts'

/** One stored file: `name` relative to the root, ending in `/<WAL file>.zst`, or set aside. */
export interface StoredFile {
  readonly files: FileAccess
  readonly path: PathDescription
  readonly name: string
}

/** As `decode`, of a file on a path, which the message of a `damaged` then names. */
export function readStored(
  stored: StoredFile,
  entry: Entry,
  write: (content: Buffer) => Promise<void> | void,
  watch: Watch,
  hashing?: Hashing,
): Promise<Digest> {
  const { files, name } = stored
  return ofRegularFile(stored, entry, (walName) =>
    decode(files.read(name, { start: 0, end: entry.size }, watch), walName, write, hashing),
  )
}

/** Reads a stored file of the WAL file that its name says; a `damaged` then names the path. */
export async function ofRegularFile<Result>(
  { path, name }: StoredFile,
  entry: Entry,
  read: (walName: string) => Promise<Result>,
): Promise<Result> {
  if (entry.kind !== 'file') {
    throw new PgarchError('unusable', `path "${path.name}": "${name}" is not a regular file`)
  }
  try {
    return await read(name.slice(name.lastIndexOf('/') + 1).replace(/\.zst(\..*)?$/, ''))
  } catch (thrown) {
    if (!(thrown instanceof PgarchError) || thrown.failure !== 'damaged') throw thrown
    throw new PgarchError('damaged', `path "${path.name}": ${thrown.message}`, { cause: thrown })
  }
}
