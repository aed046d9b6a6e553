import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll } from 'vitest'
import { waitFor } from './fleet.ts'
import { asUnprivileged } from './unprivileged.ts'

/** A program in the foreground of nobody that serves HTTP. */
export interface Listening {
  readonly pid: number
  /** Of its root, without a slash at the end. */
  readonly url: string
  /** What it said so far, on either output. */
  log(): string
  kill(signal: NodeJS.Signals): void
  /** Resolves to its exit status; null when a signal ended it. */
  ended(): Promise<number | null>
}

const running = new Set<ChildProcess>()

// Registered when a test file imports this, after that of the folders that these work in.
afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
})

/**
 * Starts it as the unprivileged user, and resolves when it listens; it ends with the test file.
 *
 * @param pattern of what it says then, with the address and port as its first group
 */
export async function startListening(
  command: readonly string[],
  pattern: RegExp,
  options: { cwd: string; environment?: Readonly<Record<string, string>> },
): Promise<Listening> {
  // setpriv: it dies with us even when we are killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...asUnprivileged(),
  })
  running.add(child)
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (part: string) => {
      said += part
    })
  }
  const closed = once(child, 'close').then(() => {
    running.delete(child)
    return child.exitCode
  })
  await waitFor(`${command[0]} listens`, () => {
    if (!running.has(child)) throw new Error(`${command.join(' ')} ended:\n${said}`)
    return pattern.test(said)
  })
  return {
    pid: child.pid as number,
    url: `http://${pattern.exec(said)?.[1]}`,
    log: () => said,
    kill: (signal) => child.kill(signal),
    ended: () => closed,
  }
}
