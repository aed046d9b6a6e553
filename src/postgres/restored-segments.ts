import { join } from 'node:path'
import { namesIn } from '../fs/folder.ts'
import { parseWalName, type WalName } from '../wal/names.ts'

/**
 * The furthest segment that the server was given from its archive, or received: it keeps such in pg_wal,
 * and marks them, which it does not with those that it recycled for later (KeepFileRestoredFromArchive,
 * xlogarchive.c). Undefined: none yet.
 */
export async function lastRestoredSegment(dataDirectory: string): Promise<string | undefined> {
  const marks = await namesIn(join(dataDirectory, 'pg_wal/archive_status'))
  return marks
    .map((mark) => mark.replace(/\.(done|ready)$/, ''))
    .filter((name) => parseWalName(name)?.kind === 'segment')
    .sort((one, other) => (place(one) < place(other) ? -1 : 1))
    .at(-1)
}

/** The further in the WAL the greater, and then the newer the timeline. */
function place(name: string): string {
  return name.slice(8) + name.slice(0, 8)
}

/** The newest that the server knows the history of: when it is promoted, the one that it begins. */
export async function newestTimeline(dataDirectory: string): Promise<number> {
  const names: (WalName | undefined)[] = (await namesIn(join(dataDirectory, 'pg_wal'))).map(
    parseWalName,
  )
  return Math.max(1, ...names.map((name) => (name?.kind === 'history' ? name.timeline : 1)))
}
