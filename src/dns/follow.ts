import { askAddresses, askServices, type NameSettings, usualTimeToLive } from './ask.ts'

/**
 * Looks, whenever what is known of a name no longer holds, whether it still leads to where a connection
 * goes, and calls `moved` once when it does not. Nobody's answer changes nothing.
 *
 * @returns what ends it; it keeps no process alive
 */
export function followAddress(
  { host, address, timeToLive }: { host: string; address: string; timeToLive: number },
  settings: NameSettings,
  moved: () => void,
): () => void {
  return follow(timeToLive, moved, async () => {
    const { addresses, timeToLive } = await askAddresses(host, settings)
    return { isHere: addresses.includes(address), timeToLive }
  })
}

/** The same for a server that the domain's SRV records name. */
export function followService(
  { domain, host, port }: { domain: string; host: string; port: number },
  settings: NameSettings,
  moved: () => void,
): () => void {
  return follow(usualTimeToLive, moved, async () => {
    const services = await askServices(domain, settings)
    const isHere = services.some((one) => one.host === host && one.port === port)
    return { isHere, timeToLive: usualTimeToLive }
  })
}

function follow(
  timeToLive: number,
  moved: () => void,
  look: () => Promise<{ isHere: boolean; timeToLive: number }>,
): () => void {
  let hasEnded = false
  let timer = lookIn(timeToLive)

  function lookIn(milliseconds: number): NodeJS.Timeout {
    return setTimeout(async () => {
      const unknown = { isHere: true, timeToLive: Math.min(milliseconds, usualTimeToLive) }
      const { isHere, timeToLive } = await look().catch(() => unknown)
      if (hasEnded) return
      if (isHere) timer = lookIn(timeToLive)
      else moved()
    }, milliseconds).unref()
  }

  return () => {
    hasEnded = true
    clearTimeout(timer)
  }
}
