import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { answerWithin } from './addresses.ts'
import { askServices, type NameSettings, type Service, serviceName } from './ask.ts'
import { keepAnswer, keptAnswer } from './kept-answers.ts'
import { serviceOrder } from './service-order.ts'

/** So long is waited for an answer, in milliseconds, where one is known that led somewhere. */
const patience = 1000

/**
 * The servers that a domain's SRV records name, in the order in which to try them. While nobody answers,
 * they are those of the last time that one of them could be used, with a warning. Rejects with
 * `unreachable` where there are none.
 *
 * @param milliseconds as long as names may take to be resolved
 */
export async function servicesOf(
  domain: string,
  settings: NameSettings,
  milliseconds: number,
): Promise<Service[]> {
  const kept = await keptAnswer<Service[]>(serviceName(domain), settings)
  const limit = kept === undefined ? milliseconds : Math.min(milliseconds, patience)
  try {
    const answer = askServices(domain, settings)
    return serviceOrder(usable(domain, await answerWithin(answer, serviceName(domain), limit)))
  } catch (error) {
    if (kept === undefined || !(error instanceof PgarchError)) throw error
    log.warning(`${error.message}; going on with its last answer that could be used`)
    return serviceOrder(kept)
  }
}

/** To go on with while nobody can be asked. */
export async function noteServices(
  domain: string,
  services: readonly Service[],
  settings: NameSettings,
): Promise<void> {
  // By name: they were drawn by lot.
  const order = services.toSorted((one, other) =>
    `${one.host}:${one.port}` < `${other.host}:${other.port}` ? -1 : 1,
  )
  await keepAnswer(serviceName(domain), order, settings)
}

/**
 * Those within the domain. DNS can be lied to, and a server elsewhere would show a certificate that is
 * good for its own name: only names within the domain that was configured are worth a check.
 */
export function usable(domain: string, services: readonly Service[]): Service[] {
  const isWithin = ({ host }: Service) =>
    host.toLowerCase() === domain || host.toLowerCase().endsWith(`.${domain}`)
  const within = services.filter(isWithin)
  if (within.length > 0) return within
  // RFC 2782: the target "." says that there is no such service.
  const others = services.map(({ host }) => host).filter((host) => host !== '' && host !== '.')
  throw new PgarchError(
    'unreachable',
    others.length === 0
      ? `${serviceName(domain)} says that there is no scheduling database`
      : `${serviceName(domain)} names no server within "${domain}": ${others.join(', ')}`,
    { hint: 'See docs/dns.md for the SRV records of the scheduling database.' },
  )
}
