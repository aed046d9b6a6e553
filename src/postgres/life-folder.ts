import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileError } from '../fs/errors.ts'
import { makeFolder, namesIn } from '../fs/folder.ts'

/**
 * Makes a folder of the state directory that is named by a server's life, and removes those of other
 * lives beside it, which nobody reads any more. Rejects with `unusable`, as all of this file do.
 */
export async function makeLifeFolder(path: string): Promise<string> {
  const parent = await makeFolder(dirname(path))
  for (const name of await namesIn(parent)) {
    if (name === basename(path)) continue
    const other = join(parent, name)
    await rm(other, { recursive: true, force: true }).catch((thrown) => {
      throw fileError('remove directory', other, thrown)
    })
  }
  return await makeFolder(path)
}
