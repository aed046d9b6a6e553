import { getSystemErrorMessage } from 'node:util'
import { PgarchError } from '../errors.ts'

/** Whether the operating system refused with one of these, such as `ENOENT`. */
export function hasCode(thrown: unknown, ...codes: string[]): boolean {
  return thrown instanceof Error && codes.includes(String((thrown as NodeJS.ErrnoException).code))
}

/**
 * `could not open file "/x": permission denied`: what the operating system said of a local file, as
 * PostgreSQL words it. Anything else, a bug then, comes back as it is.
 */
export function fileError(action: string, path: string, thrown: unknown, hint?: string): unknown {
  const errno = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).errno : undefined
  if (errno === undefined) return thrown
  return new PgarchError('unusable', `could not ${action} "${path}": ${systemMessage(errno)}`, {
    cause: thrown,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** Missing from libuv's list, which then says no more than the number: EDQUOT of Linux. */
const quotaExceeded = 122

/** What the operating system calls an error, in PostgreSQL's case; `errno` is negative. */
export function systemMessage(errno: number): string {
  if (errno === -quotaExceeded) return 'disk quota exceeded'
  return getSystemErrorMessage(errno) ?? `error ${-errno}`
}
