import { dnsName } from './host-name.ts'

/**
 * How the values of settings read, from the environment (always text) or from TOML. Each returns the
 * value or throws an Error whose message says what was expected.
 */

export function text(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new Error('expected a text')
}

export function path(value: unknown): string {
  const given = text(value)
  if (given.startsWith('/')) return given
  throw new Error(`"${given}" is not an absolute path`)
}

/** Loaded only where it is asked for: every push reads the settings. */
function isIP(given: string): boolean {
  return process.getBuiltinModule('node:net').isIP(given) !== 0
}

/** A DNS domain, in the form in which it is asked for: ASCII, lower case, no dot at its end. */
export function domain(value: unknown): string {
  const name = dnsName(text(value))
  if (name !== undefined && !isIP(name)) return name
  throw new Error(`"${value}" is not a DNS domain`)
}

/** DNS servers: a list, or a text with commas, of `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. */
export function servers(value: unknown): readonly string[] {
  const given = Array.isArray(value) ? value.map(text) : text(value).split(',')
  return given.map((one) => {
    const server = one.trim()
    const [, bracketed, plain, port = 53] =
      /^(?:\[(.*:.*)\]|([^:]*))(?::(\d+))?$/.exec(server) ?? []
    const isServer = isIP(bracketed ?? plain ?? server) && Number(port) > 0 && Number(port) < 65_536
    if (isServer) return server
    throw new Error(`"${server}" is not the address of a DNS server, with or without a port`)
  })
}

export function boolean(value: unknown): boolean {
  if (value === true || value === 'true' || value === 'on') return true
  if (value === false || value === 'false' || value === 'off') return false
  throw new Error(`"${value}" is neither true nor false`)
}

export function integer(least: number, most: number): (value: unknown) => number {
  return (value) => {
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
    if (Number.isInteger(number) && (number as number) >= least && (number as number) <= most) {
      return number as number
    }
    throw new Error(`"${value}" is not a whole number from ${least} to ${most}`)
  }
}

const millisecondsIn: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Node.js' timers take no more, and would end at once; 24 days and 20 hours. */
const longestTimer = 2 ** 31 - 1

/** A time with one of PostgreSQL's units, such as `10s` or `10 min`, to milliseconds; for a timer. */
export function duration(value: unknown): number {
  const milliseconds = anyDuration(value)
  if (milliseconds <= longestTimer) return milliseconds
  throw new Error(`"${value}" is too long a time: at most 24d are possible`)
}

/** The same, however long it is. */
export function anyDuration(value: unknown): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)$/.exec(String(value).trim())
  const factor = millisecondsIn[match?.[2] ?? '']
  if (match === null || factor === undefined) {
    throw new Error(`"${value}" is not a time: give a number and a unit of ms, s, min, h or d`)
  }
  return Math.round(Number(match[1]) * factor)
}

const bytesIn: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
}

/** A size with one of PostgreSQL's units, such as `500MB` or `2 TB`, to bytes. */
export function size(value: unknown): number {
  const match = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)$/.exec(String(value).trim())
  const factor = bytesIn[match?.[2] ?? '']
  if (match === null || factor === undefined) {
    throw new Error(`"${value}" is not a size: give a number and a unit of B, kB, MB, GB or TB`)
  }
  return Math.round(Number(match[1]) * factor)
}
