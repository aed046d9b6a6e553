import { startInBackground } from '../background.ts'
import { describeError } from '../errors.ts'
import { isLocked } from '../fs/worker-lock.ts'
import { log } from '../log.ts'
import { readLife } from '../postgres/life.ts'
import { readCachedRoute } from '../schedule/cached-route.ts'
import type { Archiver } from './identify.ts'

/**
 * Starts the worker for the server that runs on this data directory, unless there is one, or it would
 * do harm. What goes wrong is no more than a warning: a push needs no worker.
 *
 * @param except the file that this push archives itself
 */
export async function startWorker(archiver: Archiver, except: string): Promise<void> {
  const { dataDirectory, stateDirectory, member, config } = archiver
  if (!config.pushWorker) return
  try {
    const life = await readLife(dataDirectory.path)
    // PostgreSQL as a container's first process adopts orphans, and takes the death of one that it
    // does not know for a crash of its own.
    if (life === undefined || life.postmasterPid === 1) return
    if (await isLocked(stateDirectory, 'push')) return
    // Then every push drops its own file, and a worker has nothing to do.
    const cached = await readCachedRoute(stateDirectory, member.fingerprint)
    if (cached?.route.switch === 'stop') return
    startInBackground(stateDirectory, ['worker', dataDirectory.path, '--except', except], config)
  } catch (error) {
    log.warning(`could not start the worker: ${describeError(error)}`)
  }
}
