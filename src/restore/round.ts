import type { PgarchError } from '../errors.ts'
import type { FetchOutcome } from './exit-policy.ts'

/** What came of asking everywhere once. */
export interface Round {
  readonly outcome: FetchOutcome
  /** What a person shall know: why the outcome is not certain, what it costs, what is to be mended. */
  readonly doubts: readonly PgarchError[]
}

export const placed: Round = { outcome: 'placed', doubts: [] }

/** Only what did not answer, or answered that it cannot, may answer otherwise later. */
export function doubtful(doubts: readonly PgarchError[]): Round {
  return { outcome: doubts.some(mayPass) ? 'unreachable' : 'unclear', doubts }
}

export function mayPass({ failure }: PgarchError): boolean {
  return failure === 'unreachable' || failure === 'unusable'
}
