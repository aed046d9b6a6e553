import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { answerWithin, patience } from './addresses.ts'
import { askServices, type NameSettings, type Service, serviceName } from './ask.ts'
import { keepAnswer, keptAnswer } from './kept-answers.ts'
import { serviceOrder } from './service-order.ts'

/**
 * The servers that a domain's SRV records name, in the order in which to try them. While nobody answers,
 * or none of them may be used, they are those of the last time that one could be, with a warning.
 * Rejects with `unreachable` where there are none, and where the record says that there shall be none.
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
  let answer: Service[] = []
  try {
    answer = await answerWithin(askServices(domain, settings), serviceName(domain), limit)
    return serviceOrder(usable(domain, answer))
  } catch (error) {
    // That it is not to be used is an answer, and no lack of one.
    if (kept === undefined || !(error instanceof PgarchError) || isNoService(answer)) throw error
    log.warning(`${error.message}; going on with its last answer that could be used`)
    return serviceOrder(kept)
  }
}

/** RFC 2782: the target "." says that the service is decidedly not available at this domain. */
function isNoService(services: readonly Service[]): boolean {
  return services.length > 0 && services.every(({ host }) => host === '' || host === '.')
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
  const others = services.map(({ host }) => host).join(', ')
  throw new PgarchError(
    'unreachable',
    isNoService(services)
      ? `${serviceName(domain)} says that there is no scheduling database`
      : `${serviceName(domain)} names no server within "${domain}": ${others}`,
    { hint: 'See docs/dns.md for the SRV records of the scheduling database.' },
  )
}
