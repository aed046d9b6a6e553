import { join } from 'node:path'
import { readIfThere } from '../fs/there.ts'
import { readLife } from '../postgres/life.ts'
import type { ReadyFile } from './archive-file.ts'
import type { Archiver } from './identify.ts'

/** Where markers of one life of the server lie; bin/pgarch looks there first. */
export function markersOf(stateDirectory: string, life: string): string {
  return join(stateDirectory, 'pushed', life)
}

/**
 * What the worker has to say of this file, if it has archived it already: lines for the server's log, or
 * nothing. The launcher asks the same; but it may have waited in vain by a moment, and it does not know
 * what --config says.
 */
export async function readMarker(
  { dataDirectory, stateDirectory }: Archiver,
  { walPath, walName }: ReadyFile,
): Promise<string | undefined> {
  if (walPath !== join('pg_wal', walName)) return undefined
  const life = await readLife(dataDirectory.path)
  if (life === undefined) return undefined
  return await readIfThere(join(markersOf(stateDirectory, life.name), walName))
}
