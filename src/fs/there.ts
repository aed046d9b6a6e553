import { readFile, stat } from 'node:fs/promises'
import { fileError, hasCode } from './errors.ts'

/**
 * A text file's content; undefined where there is no such file.
 *
 * @param codes what counts as that, `ENOENT` unless others are given; all else rejects with `unusable`
 */
export async function readIfThere(path: string, ...codes: string[]): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (hasCode(thrown, ...(codes.length === 0 ? ['ENOENT'] : codes))) return undefined
    throw fileError('read file', path, thrown)
  }
}

/** `unusable` where that cannot be told. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return false
    throw fileError('look for file', path, thrown)
  }
}
