import { PgarchError } from './errors.ts'
import { plain } from './plain.ts'

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
    if (thrown instanceof PgarchError) {
      write('ERROR', thrown.message, thrown.hint)
    } else {
      const lines = `${thrown instanceof Error ? thrown.stack : thrown}`.split('\n')
      process.stderr.write(`pgarch: ERROR:  bug in pgarch: ${lines.map(plain).join('\n')}\n`)
    }
  },
}

function write(severity: string, message: string, hint?: string): void {
  process.stderr.write(`pgarch: ${severity}:  ${plain(message)}\n`)
  if (hint !== undefined) process.stderr.write(`pgarch: HINT:  ${plain(hint)}\n`)
}
