import { PgarchError } from '../errors.ts'
import { checkPathFile } from './path-file.ts'
import { ancestors } from './publish.ts'
import { readStored, type StoredFile } from './read-stored.ts'
import { proveAbsent } from './retrieve.ts'
import type { Watch } from './watch.ts'

const suffix = '.set-aside'

/** Whether a name is one that `setAside` gave: of no interest to whoever wants WAL. */
export function isSetAside(name: string): boolean {
  return name.endsWith(suffix)
}

/**
 * See `Store.setAside`. The new name is the old one's and the content's, so that a second call finds
 * what a killed one began. It does not end in `.zst`, so nothing takes it for a WAL file.
 */
export async function setAside(
  stored: StoredFile,
  sha256: string,
  watch: Watch,
): Promise<string | 'absent'> {
  const { files, path, name } = stored
  const aside = `${name}.${sha256}${suffix}`
  await watch.step(checkPathFile(files, path))
  const [entry, before] = [await watch.step(files.look(name)), await watch.step(files.look(aside))]
  if (entry === 'absent' && before === 'absent') {
    await proveAbsent(files, path, name, watch)
    return 'absent'
  }

  const [directory = ''] = ancestors(name)
  if (entry !== 'absent') {
    const { sha256: found } = await readStored(stored, entry, () => {}, watch)
    if (found !== sha256) {
      if (before !== 'absent') return aside
      throw new PgarchError(
        'conflict',
        `path "${path.name}" holds other content as "${name}": sha256 ${found}, not ${sha256}`,
      )
    }
    if ((await watch.step(files.link(name, aside))) === 'exists') {
      await requireSame(stored, aside, sha256, watch)
    }
    // Whenever the power fails, it has one of the two names.
    await watch.unhurried(files.sync(directory))
    await watch.step(files.unlink(name))
  }
  await watch.unhurried(files.sync(directory))
  return aside
}

/** The new name is taken: it must be by this content, for the old name to go. */
async function requireSame(stored: StoredFile, aside: string, sha256: string, watch: Watch) {
  const entry = await watch.step(stored.files.look(aside))
  if (entry !== 'absent') {
    const digest = await readStored({ ...stored, name: aside }, entry, () => {}, watch)
    if (digest.sha256 === sha256) return
  }
  throw new PgarchError(
    'unusable',
    `path "${stored.path.name}": "${aside}" is not what its name says`,
  )
}
