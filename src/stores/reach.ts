import { connect, isIP, type Socket } from 'node:net'
import type { Place } from '../dns/addresses.ts'
import type { NameSettings } from '../dns/ask.ts'

/** A connection to an SSH server, which may still have to come about. */
export interface Reached {
  readonly socket: Socket
  /** Of a host with a name. */
  readonly place?: Place
}

/**
 * Connects to a host, by whichever of its addresses answers where it is a name. Rejects with what went
 * wrong, or with the signal's reason; to an address that comes as the socket's error.
 *
 * @param connectTimeout milliseconds; half of them are for the name
 */
export async function reach(
  server: { readonly host: string; readonly port: number },
  names: NameSettings,
  connectTimeout: number,
  signal: AbortSignal,
): Promise<Reached> {
  const { host, port } = server
  if (isIP(host) !== 0) return { socket: connect({ host, port, noDelay: true }) }
  const { openSocket } = await import('../dns/open-socket.ts')
  return await openSocket({ host, port }, names, connectTimeout / 2, signal)
}
