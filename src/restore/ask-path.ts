import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { Rests } from '../schedule/rests.ts'
import type { PathDescription, Store } from '../stores/store.ts'
import { mayPass } from './round.ts'
import type { Sources } from './sources.ts'
import { resting } from './whereabouts.ts'

export interface Asking {
  readonly sources: Sources
  /** What is passed over because it failed lately; undefined: nothing is. */
  readonly rests: Rests | undefined
  /** After this time, as `performance.now()` counts, no further path is opened. */
  readonly expires: number
}

/** What one path answers, or why it does not: it rests, no time is left for it, or it failed. */
export async function askPath<Answer>(
  path: PathDescription,
  { sources, rests, expires }: Asking,
  config: Config,
  question: (store: Store) => Promise<Answer>,
): Promise<Answer | PgarchError> {
  if (rests?.isResting(String(path.id))) return resting(`path "${path.name}"`)
  const timeLeft = expires - performance.now()
  if (timeLeft <= 0) return noTimeLeft(path)
  const limits = {
    ...config,
    sshConnectTimeout: Math.min(config.sshConnectTimeout, timeLeft),
    stallTimeout: Math.min(config.stallTimeout, timeLeft),
  }
  try {
    const answer = await sources.withPath(path, limits, question)
    rests?.note(String(path.id), 'worked')
    return answer
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    if (mayPass(error)) rests?.note(String(path.id), 'failed')
    return error
  }
}

function noTimeLeft(path: PathDescription): PgarchError {
  return new PgarchError('unreachable', `path "${path.name}" was not asked: no time is left`)
}
