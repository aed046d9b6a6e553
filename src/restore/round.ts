import type { PgarchError } from '../errors.ts'
import type { FetchOutcome } from './exit-policy.ts'

/** What came of asking everywhere once. */
export interface Round {
  readonly outcome: FetchOutcome
  /** What did not answer as it should: why the outcome is not certain, or what else is to be mended. */
  readonly doubts: readonly PgarchError[]
}

export const placed: Round = { outcome: 'placed', doubts: [] }
export const absent: Round = { outcome: 'absent', doubts: [] }

/** Only what did not answer, or answered that it cannot, may answer otherwise later. */
export function doubtful(doubts: readonly PgarchError[]): Round {
  const mayPass = doubts.some(({ failure }) => failure === 'unreachable' || failure === 'unusable')
  return { outcome: mayPass ? 'unreachable' : 'unclear', doubts }
}
