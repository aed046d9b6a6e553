import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { Member } from '../postgres/member.ts'
import { withPath, withScheduling } from '../resources.ts'
import { type CleanupScope, findCleanupScope, noteCleanup } from '../schedule/cleanup.ts'
import type { Store } from '../stores/store.ts'
import { storedName } from '../stores/stored-file.ts'
import { storedFiles } from '../stores/stored-files.ts'
import { isBeforeLimit } from '../wal/cleanup-limit.ts'

/** Segments in one call to the scheduling database, and removed at once. */
const batchSize = 500
const removalsInFlight = 8

export interface CleanupRequest {
  /** Name of the first segment that stays; see cleanup-limit.ts for how it is chosen. */
  readonly keptFrom: string
  /** The path's name; undefined: what the setting cleanup.path says. */
  readonly pathName: string | undefined
  /** `--yes-shared-archive`: others may need what is there. */
  readonly allowShared: boolean
  /** Only says what would be removed. */
  readonly isDryRun: boolean
}

/**
 * Removes from a standby's own archive directory the segments of its cluster, partial ones too, that come
 * before the first one it could restart from, as pg_archivecleanup chooses them: whatever their timeline,
 * and never a timeline history or backup history file. Resolves with the names of the stored segments
 * that were, or would be, removed, in the order of names.
 *
 * The scheduling database learns of it first, batch by batch, and then the files go. If it is killed in
 * between, a file is left that the database does not know; every fetch asks the path for it, and the
 * next clean-up removes it. A row whose file is gone, from a record that was delivered late, goes too:
 * it would pass for damage.
 *
 * Rejects, with nothing removed: with `usage` when no path is named; with `refused` when the cluster does
 * not use it, or when it is not the standby's own (an SFTP path, or one that other clusters use) and that
 * is not allowed; with `unreachable` or `unusable` when the scheduling database or the path does not
 * answer. What was removed until a later failure stays removed, and is noted.
 *
 * @param member what this host registered as; others may not change what the database knows
 */
export async function cleanUp(
  request: CleanupRequest,
  member: Member,
  config: Config,
): Promise<string[]> {
  const { keptFrom, pathName = config.cleanupPath } = request
  if (pathName === undefined) {
    throw new PgarchError('usage', "the standby's own path is not named", {
      hint: 'Set cleanup.path in the configuration file, or PGARCH_CLEANUP_PATH, or give --path NAME.',
    })
  }
  return await withScheduling(config, async (schedule) => {
    const scope = await findCleanupScope(schedule, member, pathName, keptFrom)
    if (scope === undefined) {
      throw new PgarchError(
        'refused',
        `path "${pathName}" does not exist, or is not one of this cluster`,
        {
          hint: 'See "pgarch route list".',
        },
      )
    }
    if (!request.allowShared) requireOwn(scope)
    return await withPath(scope.path, config, async (store) => {
      const stored = await listBefore(store, member.fingerprint, keptFrom)
      if (request.isDryRun) return stored
      const known = [...new Set([...stored, ...scope.recorded])]
      for (let start = 0; start < known.length; start += batchSize) {
        const walNames = known.slice(start, start + batchSize)
        await noteCleanup(schedule, member, { pathId: scope.path.id, keptFrom, walNames })
        await removeAll(store, member.fingerprint, walNames)
      }
      return stored
    })
  })
}

/** What is not this standby's own may be needed by another standby, or for a recovery. */
function requireOwn({ path, isShared }: CleanupScope): void {
  if (path.kind === 'local' && !isShared) return
  const why = isShared
    ? 'other clusters use it, too'
    : 'it is on a server that others reach as well'
  throw new PgarchError('refused', `path "${path.name}" is not this standby's own: ${why}`, {
    hint:
      'What it has replayed may be needed there by other standbys, and for every recovery from an ' +
      'older base backup. If nobody needs it, add --yes-shared-archive.',
  })
}

async function listBefore(store: Store, fingerprint: string, keptFrom: string): Promise<string[]> {
  const names: string[] = []
  for await (const { walName } of storedFiles(store, fingerprint)) {
    if (isBeforeLimit(walName, keptFrom)) names.push(walName)
  }
  return names.sort()
}

async function removeAll(
  store: Store,
  fingerprint: string,
  walNames: readonly string[],
): Promise<void> {
  const waiting = walNames.values()
  const remove = async () => {
    for (const walName of waiting) await store.remove(storedName(fingerprint, walName))
  }
  await Promise.all(Array.from({ length: removalsInFlight }, remove))
}
