import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { within } from '../within.ts'
import { askAddresses, type NameSettings, usualTimeToLive } from './ask.ts'
import { keepAnswer, keptAnswer } from './kept-answers.ts'

/** One of the addresses under which a host may be reached. */
export interface Place {
  readonly address: string
  /** Milliseconds for which the host is known to have it. */
  readonly timeToLive: number
  /** How many there are still to try, this one included; more than it says may not come. */
  readonly left: number
}

/** So long is waited for an answer, in milliseconds, where an answer is known that led somewhere. */
export const patience = 1000

/**
 * The addresses of a host, in the order in which to try them: the one that worked last is the first, if
 * the host still has it. While nobody answers for the name, and where nobody knows it any more, it is
 * the one that worked last alone, with a warning: what is reached there still has to show that it is the
 * right one. Rejects with `unreachable` where there is none either.
 *
 * @param milliseconds as long as names may take to be resolved
 */
export async function* addressesOf(
  host: string,
  settings: NameSettings,
  milliseconds: number,
): AsyncGenerator<Place, undefined> {
  const worked = await keptAnswer<string>(host, settings)
  const answer = answerWithin(askAddresses(host, settings), host, milliseconds)
  const isLate =
    worked !== undefined &&
    (await Promise.race([answer.catch(() => {}), sleep(patience, 'late')])) === 'late'
  if (isLate) {
    warn(`"${host}" is not resolved within ${patience / 1000} s`, worked)
    yield { address: worked, timeToLive: usualTimeToLive, left: 2 }
  }
  try {
    const { addresses, timeToLive } = await answer
    const others = addresses.filter((one) => one !== worked)
    const first = worked !== undefined && !isLate && addresses.includes(worked) ? [worked] : []
    const order = [...first, ...others]
    for (const [index, address] of order.entries()) {
      yield { address, timeToLive, left: order.length - index }
    }
  } catch (error) {
    if (worked === undefined || !(error instanceof PgarchError)) throw error
    if (isLate) return
    warn(error.message, worked)
    yield { address: worked, timeToLive: usualTimeToLive, left: 1 }
  }
}

/** To be tried first from now on, and to go on with while nobody can be asked. */
export async function noteWorked(
  host: string,
  address: string,
  settings: NameSettings,
): Promise<void> {
  await keepAnswer(host, address, settings)
}

function warn(what: string, address: string): void {
  log.warning(`${what}; going on with the last address that worked, ${address}`)
}

/** Rejects with `unreachable` when the answer takes longer. */
export async function answerWithin<Answer>(
  answer: Promise<Answer>,
  name: string,
  milliseconds: number,
): Promise<Answer> {
  return await within(answer, milliseconds, () => {
    const seconds = Math.ceil(milliseconds / 100) / 10
    const message = `could not resolve "${name}": no answer within ${seconds} s`
    return new PgarchError('unreachable', message, { isOwn: true })
  })
}
