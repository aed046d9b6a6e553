import type { CopyEvent } from '../schedule/types.ts'
import type { Archiver } from './identify.ts'
import type { TakenRoute } from './take-route.ts'
import type { WalFile } from './wal-file.ts'

/** Puts a file that no path took into the local archive; undefined where none is set. */
export async function copyToLocalArchive(
  _archiver: Archiver,
  _file: WalFile,
): Promise<CopyEvent | undefined> {
  return undefined
}

/** Brings a few files of the local archive to a path, now that one works. */
export async function drainSome(_archiver: Archiver, _taken: TakenRoute): Promise<void> {}
