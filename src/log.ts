import { AsyncLocalStorage } from 'node:async_hooks'
import { PgarchError } from './errors.ts'
import { plain } from './plain.ts'

/**
 * Messages for people, on standard error, worded and laid out as PostgreSQL's own, because push and
 * fetch write into the server's log. Standard output belongs to data.
 */
export const log = {
  info(message: string): void {
    write(layOut('LOG', message))
  },
  warning(message: string, hint?: string): void {
    writeTrouble(layOut('WARNING', message, hint))
  },
  /** An error of ours in two lines at the most; anything else with its stack, as it is a bug. */
  error(thrown: unknown): void {
    if (thrown instanceof PgarchError) {
      writeTrouble(layOut('ERROR', thrown.message, thrown.hint))
    } else {
      const [what = '', ...where] = `${thrown instanceof Error ? thrown.stack : thrown}`.split('\n')
      writeTrouble([...layOut('ERROR', `bug in pgarch: ${what}`), ...where.map(plain)])
    }
  },
}

const troubles = new AsyncLocalStorage<string[]>()

/** Runs `act`; the lines of its warnings and errors are added to `lines` too, for another log. */
export function collectTroubles<Result>(
  lines: string[],
  act: () => Promise<Result>,
): Promise<Result> {
  return troubles.run(lines, act)
}

function layOut(severity: string, message: string, hint?: string): string[] {
  const lines = [`pgarch: ${severity}:  ${plain(message)}`]
  return hint === undefined ? lines : [...lines, `pgarch: HINT:  ${plain(hint)}`]
}

function writeTrouble(lines: readonly string[]): void {
  write(lines)
  troubles.getStore()?.push(...lines)
}

function write(lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`)
}
