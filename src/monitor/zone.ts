import { isIP } from 'node:net'
import { serviceName } from '../dns/ask.ts'
import { dnsName } from '../host-name.ts'
import { plain } from '../plain.ts'
import type { RecordedName } from '../schedule/names.ts'

/** A server of the scheduling database, as its SRV record has it. */
export interface ZoneService {
  readonly host: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

export interface Zone {
  /** As dnsName gives it. */
  readonly domain: string
  readonly ttlSeconds: number
  readonly names: readonly RecordedName[]
  readonly services: readonly ZoneService[]
}

/**
 * The records of a zone, a line each, in the format of RFC 1035, section 5, with whole names, so that they
 * can be included anywhere in it. What cannot be among them is in a comment, with the reason.
 */
export function zoneRecords({ domain, ttlSeconds, names, services }: Zone): string[] {
  const lines = [`; The hosts that pgarch knows in ${domain}, by "pgarch dns zone".`]
  const addresses = new Map<string, Set<string>>()
  for (const { kind, of, host, address } of names) {
    const name = nameWithin(domain, host)
    const about = `${kind} "${of}", ${quoted(host)}`
    if (typeof name !== 'string') lines.push(`; ${about}: ${name.leftOut}`)
    else if (address === null) lines.push(`; ${about}: no address is recorded`)
    else addresses.set(name, (addresses.get(name) ?? new Set()).add(address))
  }
  for (const [name, of] of [...addresses].sort()) {
    const [address = '', ...others] = of
    if (others.length > 0) {
      lines.push(`; ${name}: several addresses are recorded: ${[...of].join(', ')}`)
    } else lines.push(`${name}. ${ttlSeconds} IN ${isIP(address) === 6 ? 'AAAA' : 'A'} ${address}`)
  }
  for (const { host, port, priority, weight } of services) {
    const name = isIP(host) === 0 ? nameWithin(domain, host) : { leftOut: 'it is no name' }
    if (typeof name !== 'string') {
      lines.push(`; the scheduling database, ${quoted(host)}: ${name.leftOut}`)
    } else {
      const data = `${priority} ${weight} ${port} ${name}.`
      lines.push(`${serviceName(domain)}. ${ttlSeconds} IN SRV ${data}`)
    }
  }
  return lines
}

/** What a host's name must be (RFC 952, RFC 1123); name servers load no zone with others, by default. */
const hostName = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/

/** The whole name; one without a dot is within the domain, as resolvers complete it. */
function nameWithin(domain: string, host: string): string | { leftOut: string } {
  const name = dnsName(host)
  if (name === 'localhost') return { leftOut: 'every host is its own' }
  const isWhole = name?.includes('.') || name === domain
  const whole = name === undefined || isWhole ? name : dnsName(`${name}.${domain}`)
  if (whole === undefined) return { leftOut: 'DNS can have no such name' }
  if (whole !== domain && !whole.endsWith(`.${domain}`)) {
    return { leftOut: `it is not in ${domain}` }
  }
  if (hostName.test(whole)) return whole
  return { leftOut: 'no host may have such a name: letters, digits and hyphens alone (RFC 952)' }
}

function quoted(host: string): string {
  return `"${plain(host)}"`
}
