import { checkPathFile } from './path-file.ts'
import { ofRegularFile, type StoredFile } from './read-stored.ts'
import { proveAbsent } from './retrieve.ts'
import type { Inspection } from './store.ts'
import { readTrailer } from './stored-file.ts'
import { trailerSize } from './trailer.ts'
import type { Watch } from './watch.ts'

/** See `Store.inspect`. */
export async function inspect(stored: StoredFile, watch: Watch): Promise<Inspection | 'absent'> {
  const { files, path, name } = stored
  const [, entry] = await Promise.all([
    watch.step(checkPathFile(files, path)),
    watch.step(files.look(name)),
  ])
  if (entry === 'absent') {
    await proveAbsent(files, path, name, watch)
    return 'absent'
  }
  return await ofRegularFile(stored, entry, async (walName) => {
    const range = { start: Math.max(entry.size - trailerSize, 0), end: entry.size }
    const trailer: Uint8Array[] = []
    for await (const chunk of files.read(name, range, watch)) trailer.push(chunk)
    return { ...readTrailer(Buffer.concat(trailer), walName), storedBytes: entry.size }
  })
}
