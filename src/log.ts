import { AsyncLocalStorage } from 'node:async_hooks'
import { PgarchError } from './errors.ts'

/**
 * Messages for people, on standard error, worded and laid out as PostgreSQL's own, because push and
 * fetch write into the server's log. Standard output belongs to data.
 */
export const log = {
  info(message: string): void {
    write('LOG', message)
  },
  warning(message: string, hint?: string): void {
    write('WARNING', message, hint)
  },
  /** An error of ours in two lines at the most; anything else with its stack, as it is a bug. */
  error(thrown: unknown): void {
    if (thrown instanceof PgarchError) write('ERROR', thrown.message, thrown.hint)
    else write('ERROR', `bug in pgarch: ${thrown instanceof Error ? thrown.stack : thrown}`)
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

function write(severity: string, message: string, hint?: string): void {
  const lines = [`pgarch: ${severity}:  ${message}`]
  if (hint !== undefined) lines.push(`pgarch: HINT:  ${hint}`)
  process.stderr.write(`${lines.join('\n')}\n`)
  if (severity !== 'LOG') troubles.getStore()?.push(...lines)
}
