import { randomUUID } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileError } from './errors.ts'

/** Of the names that files have until they are whole. */
const suffix = '.tmp'

/** Milliseconds after which whoever wrote a temporary file has died. */
const longestWrite = 600_000

/**
 * Replaces a file of our own state so that, whenever the machine stops, either the old content or
 * the new is there. Resolves once durable. Never for a WAL file: those are not replaced.
 *
 * @param options.mode of the file, less the umask
 * @throws PgarchError `unusable`
 */
export async function writeDurably(
  path: string,
  data: string | Uint8Array,
  options: { readonly mode: number },
): Promise<void> {
  const temporary = `${path}.${randomUUID()}${suffix}`
  try {
    const file = await open(temporary, 'wx', options.mode)
    try {
      await file.writeFile(data)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (thrown) {
    await rm(temporary, { force: true }).catch(() => {})
    throw fileError('write file', path, thrown)
  }
  await syncDirectory(dirname(path))
}

/** Makes names that were created, renamed or removed in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  let directory: FileHandle | undefined
  try {
    directory = await open(path, 'r')
    await directory.sync()
  } catch (thrown) {
    throw fileError('fsync directory', path, thrown)
  } finally {
    await directory?.close()
  }
}

/** Resolves once the file is not there; whether its absence is durable is the caller's matter. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
  } catch (thrown) {
    throw fileError('remove file', path, thrown)
  }
}

/**
 * Removes what processes that were killed in `writeDurably` left in a directory, once it is so old that
 * nobody writes to it any more. Never rejects: what stays is in nobody's way.
 */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter((one) => one.endsWith(suffix))) {
    const file = join(directory, name)
    const status = await stat(file).catch(() => undefined)
    if (status === undefined || Date.now() - status.mtimeMs < longestWrite) continue
    await rm(file, { force: true }).catch(() => {})
  }
}
