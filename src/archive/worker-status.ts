import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { hasCode } from '../fs/errors.ts'
import { isLocked } from '../fs/worker-lock.ts'
import { isRunning, readLife } from '../postgres/life.ts'
import type { CachedRoute } from '../schedule/cached-route.ts'

/** The worker of a data directory: that it runs, or why it does not. */
export type WorkerStatus =
  | { readonly pid: number | null; readonly since: Date | null }
  | { readonly absence: string }

export async function readWorkerStatus(
  dataDirectory: string,
  stateDirectory: string,
  cached: CachedRoute | undefined,
  config: Config,
): Promise<WorkerStatus> {
  if (await isLocked(stateDirectory, 'push'))
    return await whoRuns(join(stateDirectory, 'worker.pid'))
  const life = await readLife(dataDirectory)
  if (life === undefined || !isRunning(life.postmasterPid)) return absent('the server does not run')
  if (life.postmasterPid === 1) return absent('the server is process 1')
  if (!config.pushWorker) return absent('push.worker is off')
  if (cached?.route.switch === 'stop') return absent('the cluster is stopped')
  return absent('idle: the next push starts it')
}

/** The file is written when the worker begins. */
async function whoRuns(pidFile: string): Promise<WorkerStatus> {
  try {
    const [text, { mtime }] = await Promise.all([readFile(pidFile, 'utf8'), stat(pidFile)])
    return { pid: Number(text) || null, since: mtime }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return { pid: null, since: null }
    throw thrown
  }
}

function absent(absence: string): WorkerStatus {
  return { absence }
}
