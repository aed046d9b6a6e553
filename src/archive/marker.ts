import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, hasCode } from '../fs/errors.ts'
import { readLife } from '../postgres/life.ts'
import type { ReadyFile } from './archive-file.ts'
import type { Archiver } from './identify.ts'

/** Where markers of one life of the server lie; bin/pgarch looks there first. */
export function markersOf(stateDirectory: string, life: string): string {
  return join(stateDirectory, 'pushed', life)
}

/**
 * Whether the worker has archived this file already. The launcher asks the same; but it may have waited
 * in vain by a moment, and it does not know what --config says.
 */
export async function isMarked(
  { dataDirectory, stateDirectory }: Archiver,
  { walPath, walName }: ReadyFile,
): Promise<boolean> {
  if (walPath !== join('pg_wal', walName)) return false
  const life = await readLife(dataDirectory.path)
  if (life === undefined) return false
  const marker = join(markersOf(stateDirectory, life.name), walName)
  try {
    await access(marker)
    return true
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return false
    throw fileError('look at', marker, thrown)
  }
}
