/**
 * What went wrong, in the terms in which pgarch decides what to do next:
 *
 * - `usage`: the command line or the configuration is wrong; nothing was tried
 * - `refused`: pgarch will not do this (no membership, paused, not a WAL file of this cluster)
 * - `conflict`: the archive, or the scheduling database, holds other content under this name
 * - `damaged`: stored bytes that do not verify
 * - `unreachable`: no answer, or none in time; trying again later may help
 * - `unusable`: it answered, and cannot be used as it is (wrong path, no space, no permission)
 */
export type Failure = 'usage' | 'refused' | 'conflict' | 'damaged' | 'unreachable' | 'unusable'

/**
 * The one class of error that pgarch throws on purpose. Anything else that is thrown is a bug and is
 * shown with its stack. `message` is worded as PostgreSQL words its own: lower case, no full stop;
 * `hint` is one or more whole sentences.
 */
export class PgarchError extends Error {
  override readonly name = 'PgarchError'
  readonly failure: Failure
  readonly hint: string | undefined
  /** It says nothing of what was asked: another host may well get an answer. */
  readonly isOwn: boolean

  constructor(
    failure: Failure,
    message: string,
    options: { hint?: string; cause?: unknown; isOwn?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.failure = failure
    this.hint = options.hint
    this.isOwn = options.isOwn === true
  }
}

/**
 * The text of anything that was thrown, on one line; for errors whose kind does not matter. Servers put
 * in what they like, and PostgreSQL takes no text with a NUL in it: that record would never be delivered.
 */
export function describeError(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
  return text.replaceAll('\0', ' ').replaceAll(/\s*\n\s*/g, '; ')
}
