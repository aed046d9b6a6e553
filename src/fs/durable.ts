import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError } from './errors.ts'

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
  const temporary = `${path}.${randomUUID()}.tmp`
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
