import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'
import { readLife } from '../postgres/life.ts'
import { readCachedRoute } from '../schedule/cached-route.ts'
import type { Archiver } from './identify.ts'
import { isLocked } from './worker-lock.ts'

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
    if (await isLocked(stateDirectory)) return
    // Then every push drops its own file, and a worker has nothing to do.
    const cached = await readCachedRoute(stateDirectory, member.fingerprint)
    if (cached?.route.switch === 'stop') return
    launch(stateDirectory, ['worker', dataDirectory.path, '--except', except], {
      // It has another working directory.
      PGARCH_CONFIG: config.file && resolve(config.file),
      PGARCH_SCHEDULE_URL: config.scheduleUrl,
    })
  } catch (error) {
    log.warning(`could not start the worker: ${describeError(error)}`)
  }
}

/**
 * In a session of its own, so that no signal for the server's processes ends it, and below a shell
 * that outlives it and ends with 0: whoever adopts the shell hears nothing of how the worker ended.
 */
function launch(stateDirectory: string, words: readonly string[], flags: NodeJS.ProcessEnv): void {
  const output = openSync(join(stateDirectory, 'worker.log'), 'a', 0o600)
  const command = [process.execPath, process.argv[1] ?? '', ...words]
  const child = spawn('/bin/sh', ['-c', '"$@"; exit 0', 'pgarch', ...command], {
    cwd: '/',
    detached: true,
    env: { ...process.env, ...flags },
    stdio: ['ignore', output, output],
  })
  child.on('error', (error) => log.warning(`could not start the worker: ${error.message}`))
  child.unref()
  closeSync(output)
}
