import { isIP } from 'node:net'
import type { Place } from '../dns/addresses.ts'
import type { Service } from '../dns/ask.ts'
import type { ScheduleAddress } from './address.ts'
import type { Connection, ScheduleSettings, ServerPlace } from './connection.ts'

export type { Place } from '../dns/addresses.ts'

interface Host {
  readonly host: string
  readonly port: number
}

/** What of the time to connect goes to questions about names at most, so that some is left for servers. */
const forNames = 0.5

/** What a domain's SRV records say. */
export interface Discovery {
  readonly domain: string
  /** In the order in which to try them. */
  readonly services: readonly Service[]
}

/** Undefined where the URL names its hosts. */
export async function discover(
  { domain }: ScheduleAddress,
  { names = {}, timeoutMilliseconds }: ScheduleSettings,
): Promise<Discovery | undefined> {
  if (domain === undefined) return undefined
  const { servicesOf } = await import('../dns/services.ts')
  return { domain, services: await servicesOf(domain, names, timeoutMilliseconds * forNames) }
}

/**
 * A host's addresses in the order in which to try them; see addressesOf. Nothing is resolved, nor loaded,
 * for one that is an address, or a socket's directory.
 *
 * @param expires by performance.now()
 */
export async function* placesOf(
  { host }: Host,
  { names = {} }: ScheduleSettings,
  expires: number,
): AsyncGenerator<Place, undefined> {
  if (host.startsWith('/') || isIP(host) !== 0) {
    yield { address: host, timeToLive: Number.POSITIVE_INFINITY, left: 1 }
    return
  }
  const { addressesOf } = await import('../dns/addresses.ts')
  yield* addressesOf(host, names, (expires - performance.now()) * forNames)
}

/**
 * Of a connection that can be used: notes where its names led, and has it marked as moved when they no
 * longer lead there.
 */
export async function follow(
  connection: Connection,
  place: ServerPlace & Place,
  discovery: Discovery | undefined,
  { names = {} }: ScheduleSettings,
): Promise<void> {
  const { host, port, address } = place
  if (host !== address) {
    const { noteWorked } = await import('../dns/addresses.ts')
    const { followAddress } = await import('../dns/follow.ts')
    await noteWorked(host, address, names)
    connection.follow((moved) => followAddress(place, names, moved))
  }
  if (discovery !== undefined) {
    const { domain, services } = discovery
    const { noteServices } = await import('../dns/services.ts')
    const { followService } = await import('../dns/follow.ts')
    await noteServices(domain, services, names)
    connection.follow((moved) => followService({ domain, host, port }, names, moved))
  }
}
