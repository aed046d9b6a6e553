import { PgarchError } from '../errors.ts'
import { readLocalArchiveRecord } from '../postgres/local-archive-record.ts'
import { localArchivePath } from '../stores/local-archive.ts'
import type { PathDescription } from '../stores/store.ts'
import type { Target } from './target.ts'

/** This host's local archive, as one more place that could hold a file. */
export interface OwnArchive {
  readonly path: PathDescription
  /** As which this host may have told the scheduling database of files in it. */
  readonly memberIds: readonly string[]
}

/** Undefined where there is none; an error where nobody can tell. */
export async function ownArchive({
  stateDirectory,
  member,
}: Target): Promise<OwnArchive | PgarchError | undefined> {
  if (stateDirectory === undefined || member === undefined) return undefined
  try {
    const record = await readLocalArchiveRecord(stateDirectory)
    if (record === undefined) return undefined
    return { path: localArchivePath(record, 0), memberIds: [record.uuid, member.memberId] }
  } catch (error) {
    if (error instanceof PgarchError) return error
    throw error
  }
}
