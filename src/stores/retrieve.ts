import { open, rm } from 'node:fs/promises'
import { PgarchError } from '../errors.ts'
import { fileError } from '../fs/errors.ts'
import { writeAll } from '../fs/write-all.ts'
import type { FileAccess } from './file-access.ts'
import type { Hashing } from './hashing.ts'
import { checkPathFile } from './path-file.ts'
import { ancestors } from './publish.ts'
import { readStored, type StoredFile } from './read-stored.ts'
import type { Digest, PathDescription } from './store.ts'
import type { Watch } from './watch.ts'

export interface Retrieval extends StoredFile {
  readonly destination: string
  readonly hashing: Hashing | undefined
}

/** See `Store.get`. */
export async function retrieve(retrieval: Retrieval, watch: Watch): Promise<Digest | 'absent'> {
  const { files, path, name, destination } = retrieval
  // Needed for an answer, not for reading: a distant server shall not be waited for twice.
  const checking = watch.step(checkPathFile(files, path))
  checking.catch(() => {}) // it is awaited in every case
  const entry = await watch.step(files.look(name)).catch(async (thrown: unknown) => {
    await checking
    throw thrown
  })
  if (entry === 'absent') {
    await checking
    try {
      await proveAbsent(files, path, name, watch)
      return 'absent'
    } catch (thrown) {
      if ((await watch.step(files.look(name))) === 'absent') throw thrown
    }
    // It was stored in this moment, which happens to who waits for it.
    return await retrieve(retrieval, watch)
  }
  const file = await open(destination, 'wx', 0o666).catch((thrown: unknown) => {
    throw fileError('create', destination, thrown)
  })
  try {
    const write = (content: Buffer) =>
      writeAll(file, content).catch((thrown) => {
        throw fileError('write', destination, thrown)
      })
    const digest = await readStored(retrieval, entry, write, watch, retrieval.hashing)
    await checking
    await file.close()
    watch.signal.throwIfAborted()
    return digest
  } catch (thrown) {
    await file.close().catch(() => {})
    await rm(destination, { force: true })
    await checking // another path's file may well be damaged, or none
    throw thrown
  }
}

/**
 * Rejects unless there surely is no such file or directory, because PostgreSQL ends recovery on it. The
 * caller has seen the path's own file; it is looked for once more after everything else, so that a disk
 * that is mounted or unmounted meanwhile deceives nobody. And every directory above is one, not a link
 * to a disk that is gone, or ends the proof by not being there itself.
 */
export async function proveAbsent(
  files: FileAccess,
  path: PathDescription,
  name: string,
  watch: Watch,
): Promise<void> {
  const directories = ancestors(name).toReversed().slice(1)
  for (const one of [...directories, name]) {
    if (one !== name && (await watch.step(files.look(`${one}/.`))) !== 'absent') continue
    if ((await watch.step(files.look(one))) === 'absent') break
    throw new PgarchError('unusable', `path "${path.name}": "${one}" is there, but not to be had`, {
      hint: 'Is it a symbolic link to a disk that is not mounted, or no directory?',
    })
  }
  await watch.step(checkPathFile(files, path))
}
