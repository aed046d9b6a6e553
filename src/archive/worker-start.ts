import { spawn } from 'node:child_process'
import { closeSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'
import { readLife } from '../postgres/life.ts'
import type { Archiver } from './identify.ts'
import { isLocked } from './worker-lock.ts'

/** worker.log is begun anew when it has grown to so many bytes. */
const largestLog = 1024 * 1024

/**
 * Starts the worker for the server that runs on this data directory, unless there is one, or it would
 * do harm. What goes wrong is no more than a warning: a push needs no worker.
 *
 * @param except the file that this push archives itself
 */
export async function startWorker(archiver: Archiver, except: string): Promise<void> {
  const { dataDirectory, stateDirectory, config } = archiver
  if (!config.pushWorker) return
  try {
    const life = await readLife(dataDirectory.path)
    // PostgreSQL as a container's first process adopts orphans, and takes the death of one that it
    // does not know for a crash of its own.
    if (life === undefined || life.postmasterPid === 1) return
    if (await isLocked(stateDirectory)) return
    launch(stateDirectory, ['worker', dataDirectory.path, '--except', except])
  } catch (error) {
    log.warning(`could not start the worker: ${describeError(error)}`)
  }
}

/**
 * In a session of its own, so that no signal for the server's processes ends it, and below a shell
 * that outlives it and ends with 0: whoever adopts the shell hears nothing of how the worker ended.
 */
function launch(stateDirectory: string, words: readonly string[]): void {
  const file = join(stateDirectory, 'worker.log')
  const grown = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > largestLog
  const output = openSync(file, grown ? 'w' : 'a', 0o600)
  const command = [process.execPath, process.argv[1] ?? '', ...words]
  const child = spawn('/bin/sh', ['-c', '"$@"; exit 0', 'pgarch', ...command], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', output, output],
  })
  child.on('error', (error) => log.warning(`could not start the worker: ${error.message}`))
  child.unref()
  closeSync(output)
}
