import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { Schedule } from '../schedule/connect.ts'
import { returnPath } from '../schedule/lost-paths.ts'
import type { ArchivePath } from '../schedule/paths.ts'
import { listSetAsideSince, noteSetAsideCopy } from '../schedule/set-aside.ts'
import { storedName } from '../stores/stored-file.ts'
import { testPath } from './paths.ts'

/**
 * Brings a lost path back. It must be fit, and the same by its `pgarch-path`; and what was set aside
 * in the meantime is so on this path too, before anybody asks it.
 */
export async function returnLostPath(
  schedule: Schedule,
  path: ArchivePath,
  config: Config,
): Promise<void> {
  await testPath(path, config)
  const missed = path.lostTime === null ? [] : await listSetAsideSince(schedule, path.lostTime)
  await withPath(path, config, async (store) => {
    for (const { id, fingerprint, walName, sha256 } of missed) {
      const name = storedName(fingerprint, walName)
      const file = await store.setAside(name, sha256).catch(unlessOther)
      if (file !== 'absent') await noteSetAsideCopy(schedule, id, { path: path.name, file })
    }
  })
  await returnPath(schedule, path.id)
}

/** The path has the content that stayed. */
function unlessOther(error: unknown): 'absent' {
  if (error instanceof PgarchError && error.failure === 'conflict') return 'absent'
  throw error
}
