import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { withPath } from '../resources.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type ArchivePath, removePath } from '../schedule/paths.ts'
import { removeRoute } from '../schedule/routes.ts'
import { inTransaction } from '../schedule/transaction.ts'
import { parseShippedName } from '../stores/shipped-file.ts'
import type { Store } from '../stores/store.ts'
import { actAsOwner } from './paths.ts'

/*
 * A fetch does not ask a path that is in no route, and would call absent what lies there. So the path
 * itself is asked before, and not the records alone: what was archived in an outage may be known to a
 * host's journal only, and that host may be gone.
 */

/** Takes a path out of a cluster's route; `refused` while files of the cluster lie there. */
export async function takeOutOfRoute(
  schedule: Schedule,
  fingerprint: string,
  path: ArchivePath,
  config: Config,
): Promise<void> {
  await inTransaction(schedule, async () => {
    await removeRoute(schedule, fingerprint, path.id)
    const held = await holdsFiles(path, config, async () => [fingerprint])
    if (held === false) return
    const hint =
      'Use "pgarch route disable": no more files go there, and those that it holds can be fetched. ' +
      'If the path is gone for good, use "pgarch path lost".'
    if (held === true) throw holdsUnrecorded('of this cluster', hint)
    const message = `cannot tell whether the path holds files of this cluster: ${held.message}`
    throw new PgarchError(held.failure, message, { hint })
  })
}

/**
 * Removes a path, unless files lie there, and then its `pgarch-path`, so that the place can become a
 * path again. The file stays, with a warning, where the place does not answer or is not this path's.
 */
export async function dropPath(
  schedule: Schedule,
  path: ArchivePath,
  config: Config,
): Promise<void> {
  const held = await inTransaction(schedule, async () => {
    await removePath(schedule, path.id)
    const found = await holdsFiles(path, config, (store) => store.clusters())
    if (found !== true) return found
    throw holdsUnrecorded('', 'Otherwise use "pgarch path disable".')
  })
  try {
    if (held !== false) throw held
    await withPath(path, config, (store) => store.remove('pgarch-path'))
  } catch (thrown) {
    if (!(thrown instanceof PgarchError)) throw thrown
    log.warning(
      `path "${path.name}" is removed, but not the file pgarch-path at its root: ${thrown.message}`,
      'Before the place can become a path again, that file must be removed by hand.',
    )
  }
}

/** Whether any WAL file of these clusters lies there, or what was shipped of one; or why nobody can tell. */
async function holdsFiles(
  path: ArchivePath,
  config: Config,
  clusters: (store: Store) => Promise<readonly string[]>,
): Promise<boolean | PgarchError> {
  await actAsOwner(path)
  try {
    return await withPath(path, config, async (store) => {
      for (const fingerprint of await clusters(store)) {
        for await (const { name } of store.list(fingerprint)) {
          if (name.endsWith('.zst') || parseShippedName(name) !== undefined) return true
        }
      }
      return false
    })
  } catch (error) {
    if (error instanceof PgarchError) return error
    throw error
  }
}

function holdsUnrecorded(whose: string, hint: string): PgarchError {
  const files = ['the path holds files', whose, 'that are not recorded'].filter(Boolean).join(' ')
  return new PgarchError('refused', files, {
    hint: `A host's journal tells of them, or "pgarch schedule rebuild" finds them; for shipped files see docs/ship.md. ${hint}`,
  })
}
