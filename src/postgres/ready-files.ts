import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../fs/errors.ts'
import { isThere } from '../fs/there.ts'
import { parseWalName } from '../wal/names.ts'

/** Where PostgreSQL notes which WAL files want archiving. */
export function statusDirectoryOf(dataDirectory: string): string {
  return join(dataDirectory, 'pg_wal', 'archive_status')
}

/** Names of the WAL files that PostgreSQL wants archived, in the order in which it will ask. */
export async function listReadyFiles(dataDirectory: string): Promise<string[]> {
  const directory = statusDirectoryOf(dataDirectory)
  try {
    return orderReadyFiles(await readdir(directory))
  } catch (thrown) {
    throw fileError('read directory', directory, thrown)
  }
}

/** Whether PostgreSQL still wants it archived, and so keeps it. */
export async function isReady(dataDirectory: string, walName: string): Promise<boolean> {
  return await isThere(join(statusDirectoryOf(dataDirectory), `${walName}.ready`))
}

/** As pgarch.c's ready_file_comparator: timeline history files first, then by name. */
export function orderReadyFiles(statusFiles: readonly string[]): string[] {
  return statusFiles
    .map(readyName)
    .filter((name) => name !== undefined)
    .filter((name) => parseWalName(name) !== undefined)
    .sort((one, other) => {
      const byKind = Number(isHistory(other)) - Number(isHistory(one))
      return byKind || (one < other ? -1 : 1)
    })
}

/** The WAL file that a status file says is ready; undefined when it says something else. */
export function readyName(statusFile: string): string | undefined {
  return statusFile.endsWith('.ready') ? statusFile.slice(0, -'.ready'.length) : undefined
}

export function isHistory(name: string): boolean {
  return name.endsWith('.history')
}
