import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '../fs/errors.ts'

/**
 * Where segments lie that a server in recovery will ask for, in its state directory below the name of
 * its life: no other life's are ever taken. bin/pgarch looks there.
 */
export function prefetchFolder(stateDirectory: string, life: string): string {
  return join(stateDirectory, 'prefetch', life)
}

/** In that folder: the last segment that was not prefetched when the server asked for it. */
export const askedFile = 'asked'

/** Tells the prefetching worker, if one has ever run in this life, where recovery is. */
export async function noteAsked(
  stateDirectory: string,
  life: string,
  walName: string,
): Promise<void> {
  const file = join(prefetchFolder(stateDirectory, life), askedFile)
  try {
    await writeFile(`${file}.tmp`, walName, { mode: 0o600 })
    await rename(`${file}.tmp`, file)
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT')) throw thrown
  }
}
