import { resolve } from 'node:path'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { checkWalPath } from '../postgres/data-directory.ts'
import { wasDelivered } from '../postgres/delivered.ts'
import { copyToRoute } from './copy.ts'
import type { Archiver } from './identify.ts'
import { copyToLocalArchive } from './local-archive.ts'
import { record } from './record.ts'
import { takeRoute } from './take-route.ts'
import { isRefused, requireArchived, warnOfFailures } from './tries.ts'
import { checkWalFile, claimOf, isEmptied, type WalFile } from './wal-file.ts'

/** A file that PostgreSQL wants archived. */
export interface ReadyFile {
  /** PostgreSQL's %p: relative to the data directory, or absolute. */
  readonly walPath: string
  /** PostgreSQL's %f. */
  readonly walName: string
  /**
   * Whether PostgreSQL still keeps the file for us. Asked once it was read: a file that was archived by
   * another push meanwhile may be recycled under a reader's eyes, and what was read be of two files.
   */
  isStillReady?(): Promise<boolean>
}

/**
 * What became of a file: it is durable, and that is recorded or journaled; or it was passed over on
 * purpose, as the cluster is stopped, a crash emptied it, or it was delivered here from a shipped file.
 * 'gone': PostgreSQL did not keep it for us.
 */
export type Archived = 'on a path' | 'in the local archive' | 'passed over' | 'gone'

/**
 * One WAL file's way: check, route, store, record. Rejects unless PostgreSQL may forget the file. Every
 * step can be repeated, so PostgreSQL's own retry is all the recovery there is.
 */
export async function archiveFile(archiver: Archiver, ready: ReadyFile): Promise<Archived> {
  const { dataDirectory, member, stateDirectory, reading } = archiver
  await checkWalPath(dataDirectory, ready.walPath)
  const walPath = resolve(dataDirectory.path, ready.walPath)
  const file = await checkWalFile(walPath, ready.walName, member, reading)
  if (ready.isStillReady !== undefined && !(await ready.isStillReady())) return 'gone'
  if (await wasDelivered(stateDirectory, ready.walName, file.digest.sha256)) {
    log.warning(
      `"${ready.walName}" was not archived: it is the unfinished segment that this server was given from a shipped file`,
      "Its name is for the whole segment, should its own primary still archive it. The next timeline's segment has what was replayed of it.",
    )
    return 'passed over'
  }
  try {
    return await archive(archiver, file)
  } catch (thrown) {
    const isConflict = thrown instanceof PgarchError && thrown.failure === 'conflict'
    if (!isConflict || !isEmptied(file)) throw thrown
    log.warning(
      `"${ready.walName}" is empty, and counts as archived: ${thrown.message}`,
      'A crash can empty a backup history file. What was archived before it was left as it is.',
    )
    return 'passed over'
  }
}

async function archive(archiver: Archiver, file: WalFile): Promise<Archived> {
  const claim = claimOf(file)
  const taken = await takeRoute(archiver, claim)
  if (taken === 'dropped') return 'passed over'

  const { route, source } = taken
  const tries = await copyToRoute(archiver, route, file)
  warnOfFailures(tries)
  const local = isRefused(tries) ? await copyToLocalArchive(archiver, file) : undefined
  const events = local === undefined ? tries : [...tries, local]
  // Its record would claim the file as well, and without a path nothing is to be claimed.
  if (events.length > 0) await record(archiver, { claim, events }, source)
  if (local !== undefined) return 'in the local archive'
  requireArchived(tries, route, file.digest.walName)
  return 'on a path'
}
