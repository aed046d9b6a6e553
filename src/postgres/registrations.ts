import { readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'

/** A data directory that has a state directory on this host. */
export interface Registration {
  /** Physical. */
  readonly path: string
  /** `unusable`: why nobody can tell which ones there are from this directory on. */
  readonly trouble?: PgarchError
}

/**
 * By their paths. Links are followed, as whoever uses a state directory follows them: it may have been
 * moved to another disk.
 *
 * @param base PGARCH_STATE_DIR
 */
export async function listDataDirectories(base: string): Promise<Registration[]> {
  const found = await listBelow(base, '', [])
  return found.sort((one, other) => (one.path < other.path ? -1 : 1))
}

/** @param above the physical paths of the directories that lead there */
async function listBelow(
  base: string,
  below: string,
  above: readonly string[],
): Promise<Registration[]> {
  const folder = join(base, below)
  try {
    const place = await realpath(folder)
    // A link that leads back to where it lies.
    if (above.includes(place)) return []
    const names = (await readdir(folder, { withFileTypes: true }))
      .filter((one) => one.isDirectory() || one.isSymbolicLink())
      .map(({ name }) => name)
    const found = names
      // Root's, where it is a file system of its own.
      .filter((name) => name !== '@pgarch' && name !== 'lost+found')
      .map((name) => listBelow(base, join(below, name), [...above, place]))
    const own = names.includes('@pgarch') ? [{ path: `/${below}` }] : []
    return [...own, ...(await Promise.all(found)).flat()]
  } catch (thrown) {
    // Nothing was ever registered; or a link leads to a file.
    if (hasCode(thrown, 'ENOTDIR') || (below === '' && hasCode(thrown, 'ENOENT'))) return []
    const trouble = fileError('read directory', folder, thrown)
    if (!(trouble instanceof PgarchError)) throw trouble
    return [{ path: `/${below}`, trouble }]
  }
}
