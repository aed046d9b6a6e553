import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from './config.ts'
import { log } from './log.ts'

/**
 * Runs a command of pgarch beyond this one's end, with its messages in the state directory's worker.log:
 * in a session of its own, so that no signal for the server's processes ends it, and below a shell
 * that outlives it and ends with 0: whoever adopts the shell hears nothing of how the worker ended.
 */
export function startInBackground(
  stateDirectory: string,
  words: readonly string[],
  config: Config,
): void {
  // What this call was given as options; that one has another working directory.
  const flags = {
    PGARCH_CONFIG: config.file && resolve(config.file),
    PGARCH_SCHEDULE_URL: config.scheduleUrl,
  }
  const output = openSync(join(stateDirectory, 'worker.log'), 'a', 0o600)
  const command = [process.execPath, '--disable-sigusr1', process.argv[1] ?? '', ...words]
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
