import type { PgarchError } from '../errors.ts'
import type { Family } from './exposition.ts'

/** What there is to tell Prometheus. */
export interface Collected {
  readonly families: readonly Family[]
  /** What could not be looked at, and why; that it could not is in the families, too. */
  readonly troubles: readonly PgarchError[]
}
