import { lookup, Resolver } from 'node:dns/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import { dnsName } from '../host-name.ts'

/** Who is asked for names, and where answers are kept that led somewhere. */
export interface NameSettings {
  /** `ADDRESS` or `ADDRESS:PORT`, asked in turn; undefined: whatever the system asks. */
  readonly servers?: readonly string[] | undefined
  /** In the state directory; undefined: nothing is kept. */
  readonly directory?: string | undefined
}

export interface Addresses {
  /** In the order in which to try them; one at least. */
  readonly addresses: readonly string[]
  /** Milliseconds for which the answer holds. */
  readonly timeToLive: number
}

/** An SRV record (RFC 2782). */
export interface Service {
  readonly host: string
  readonly port: number
  /** The lowest is tried first. */
  readonly priority: number
  readonly weight: number
}

/** Where an answer does not tell: of the system's resolver, and of SRV records, in milliseconds. */
export const usualTimeToLive = 60_000
const bounds = { shortest: 1000, longest: 86_400_000 }

/** To one server at first, in milliseconds; and how often all are asked. */
const ofResolver = { timeout: 600, tries: 3 }

/**
 * So long is waited for one family once the other has addresses, in milliseconds (RFC 8305, section 3).
 */
const patience = 250

/**
 * All addresses of a host now, of both families, or of the one that is answered for. Rejects with
 * `unreachable`, be it that the name has none or that nobody answers; the cause's `code` tells
 * (`ENOTFOUND` and `ENODATA`: it has none).
 */
export function askAddresses(host: string, { servers }: NameSettings): Promise<Addresses> {
  // RFC 6761, section 6.3: no server is asked for it.
  const isLocal = /^(.*\.)?localhost\.?$/i.test(host)
  return servers === undefined || isLocal
    ? once(host, () => lookUp(host))
    : once(`${servers} ${host}`, () => askServers(host, servers))
}

/** The SRV records of `_pgarch._tcp.DOMAIN`, in no order. Rejects as askAddresses. */
export async function askServices(domain: string, { servers }: NameSettings): Promise<Service[]> {
  const name = serviceName(domain)
  try {
    const records = await resolver(servers).resolveSrv(name)
    return records.map(({ name: host, port, priority, weight }) => ({
      host,
      port,
      priority,
      weight,
    }))
  } catch (thrown) {
    throw unresolved(name, thrown)
  }
}

export function serviceName(domain: string): string {
  return `_pgarch._tcp.${domain}`
}

/**
 * By getaddrinfo(3), which may hang for long in one of the threads that files need as well: libuv gives
 * it half of them at the most (threadpool.c, slow_work_thread_threshold), so two of four.
 */
async function lookUp(host: string): Promise<Addresses> {
  try {
    const found = await lookup(host, { all: true, order: 'verbatim' })
    const addresses = [...new Set(found.map(({ address }) => address))]
    return { addresses, timeToLive: usualTimeToLive }
  } catch (thrown) {
    throw unresolved(host, thrown)
  }
}

async function askServers(host: string, servers: readonly string[]): Promise<Addresses> {
  const name = dnsName(host) ?? host
  const one = resolver(servers)
  const questions = [one.resolve4(name, { ttl: true }), one.resolve6(name, { ttl: true })]
  const both = Promise.allSettled(questions)
  const enough = Promise.any(questions).then(() => sleep(patience, undefined, { ref: false }))
  // Where neither has any, both have been waited for.
  await Promise.race([both, enough.catch(() => both)])
  one.cancel()
  const answers = await both
  const [four, six] = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  const records = alternate(four ?? [], six ?? [])
  if (records.length === 0) {
    const reasons = answers.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    // No answer to one of the two questions leaves open what the other's would have been.
    throw unresolved(host, reasons.find((reason) => !isNone(reason)) ?? reasons[0])
  }
  const seconds = Math.min(...records.map(({ ttl }) => ttl))
  const timeToLive = Math.min(Math.max(seconds * 1000, bounds.shortest), bounds.longest)
  return { addresses: records.map(({ address }) => address), timeToLive }
}

/** Families take turns (RFC 8305, section 4), so that one that leads nowhere costs one try. */
function alternate<Record>(four: readonly Record[], six: readonly Record[]): Record[] {
  const longest = Math.max(four.length, six.length)
  return Array.from({ length: longest }, (_, index) => [
    ...four.slice(index, index + 1),
    ...six.slice(index, index + 1),
  ]).flat()
}

function resolver(servers: readonly string[] | undefined): Resolver {
  const one = new Resolver(ofResolver)
  if (servers !== undefined) one.setServers(servers)
  return one
}

const asked = new Map<string, Promise<Addresses>>()

/** Many who ask for the same at the same time are one. */
function once(question: string, ask: () => Promise<Addresses>): Promise<Addresses> {
  const before = asked.get(question)
  if (before !== undefined) return before
  const mine = ask().finally(() => asked.delete(question))
  asked.set(question, mine)
  return mine
}

/** An answer, and not the lack of one: the name is not there, or has no such record. */
export function isNone(thrown: unknown): boolean {
  const { code } = (thrown ?? {}) as { code?: unknown }
  return code === 'ENOTFOUND' || code === 'ENODATA'
}

const meanings: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'the name has no such record',
  ESERVFAIL: 'the DNS server failed',
  EREFUSED: 'the DNS server refused to answer',
  EBADNAME: 'no name is written so',
  ECONNREFUSED: 'no DNS server answers',
  ETIMEOUT: 'no DNS server answers',
  EAI_AGAIN: 'no DNS server answers',
}

function unresolved(name: string, cause: unknown): PgarchError {
  const { code = '', message } = (cause ?? {}) as { code?: string; message?: string }
  const text = `could not resolve "${name}": ${meanings[code] ?? message}`
  return new PgarchError('unreachable', text, { cause, isOwn: !isNone(cause) })
}
