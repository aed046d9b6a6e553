import { domainToASCII } from 'node:url'

const label = '[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?'
const pattern = new RegExp(`^(?=.{1,240}$)${label}(\\.${label})*$`)

/**
 * A host's or a domain's name as DNS has it: lower case, ASCII (`xn--..` for others), no dot at its end.
 * Undefined when it cannot be one.
 */
export function dnsName(name: string): string | undefined {
  const given = name.replace(/\.$/, '').toLowerCase()
  // domainToASCII takes parts of URLs, and numbers for addresses.
  const isAscii = /^[\0-\x7f]*$/.test(given)
  const ascii = isAscii || /[\s/?#@:\\%[\]]/.test(given) ? given : domainToASCII(given)
  return pattern.test(ascii) ? ascii : undefined
}
