import { randomBytes } from 'node:crypto'
import type { FileAccess } from './file-access.ts'

const suffix = '.pgarch-tmp'

/** A new name beside `name`, hidden, that neither PostgreSQL nor anything that reads archives takes. */
export function temporaryName(name: string): string {
  const slash = name.lastIndexOf('/') + 1
  const random = randomBytes(8).toString('hex')
  return `${name.slice(0, slash)}.${name.slice(slash)}.${random}${suffix}`
}

export function isTemporary(name: string): boolean {
  return name.endsWith(suffix)
}

/**
 * Removes what dead writers left in a directory. A file that is being written has a young time, so
 * only those go that are `age` seconds older than the last change of the directory: both times are by
 * the server's clock, and where nothing happens any more everything stays. Were a living writer's file
 * taken after all, its link would fail and its push be tried again; nothing false could be published.
 */
export async function sweep(files: FileAccess, directory: string, age: number): Promise<void> {
  const entries = await files.entries(directory, isTemporary)
  if (entries === 'absent' || entries.length === 0) return
  const changed = await files.look(directory)
  if (changed === 'absent') return
  for (const { name, kind, modified } of entries) {
    if (kind === 'file' && modified < changed.modified - age) {
      await files.unlink(`${directory}/${name}`)
    }
  }
}
