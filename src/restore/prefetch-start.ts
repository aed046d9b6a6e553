import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { startInBackground } from '../background.ts'
import type { Config } from '../config.ts'
import { describeError } from '../errors.ts'
import { isLocked } from '../fs/worker-lock.ts'
import { log } from '../log.ts'
import { openDataDirectory } from '../postgres/data-directory.ts'
import { readLife } from '../postgres/life.ts'
import { noteAsked } from '../postgres/prefetched.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { parseWalName } from '../wal/names.ts'
import type { FetchRequest } from './target.ts'

/**
 * After a server in recovery was given a segment: has the next ones fetched ahead of its asking, or tells
 * who does that already where recovery is. What goes wrong is no more than a warning: a fetch needs
 * nobody's help.
 */
export async function startPrefetch(request: FetchRequest, config: Config): Promise<void> {
  const { workingDirectory, walName, walPath, isPlain } = request
  if (config.fetchPrefetch === 0 || parseWalName(walName)?.kind !== 'segment') return
  // Else the launcher would not take what lies ready: pg_rewind, a person, another cluster's WAL.
  if (walPath !== 'pg_wal/RECOVERYXLOG' || !isPlain) return
  try {
    const dataDirectory = await openDataDirectory(workingDirectory)
    // Nor does it from another user's worker, of whose files the server's own could make nothing: root.
    if (process.geteuid?.() !== dataDirectory.uid) return
    const life = await readLife(dataDirectory.path)
    // As with push: PostgreSQL as a container's first process adopts orphans.
    if (life === undefined || life.postmasterPid === 1) return
    const stateDirectory = await createStateDirectory(config.stateDirectory, dataDirectory)
    const worker = await isLocked(stateDirectory, 'prefetch')
    await noteAsked(stateDirectory, life.name, walName)
    if (worker) return
    // What was placed is a whole segment. The server will have taken it before the worker could look.
    const { size } = await stat(join(dataDirectory.path, walPath))
    const words = ['worker', dataDirectory.path, '--prefetch-after', walName]
    words.push('--wal-segment-size', String(size))
    startInBackground(stateDirectory, words, config)
  } catch (error) {
    log.warning(`could not fetch ahead of recovery: ${describeError(error)}`)
  }
}
