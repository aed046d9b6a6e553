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
 * Connections to a host, one after the other as they are asked for: where it is a name to those of its
 * addresses where a server speaks, else the one, whose errors come as the socket's. The taker destroys them.
 * Rejects with what went wrong with other addresses, or with the signal's reason.
 *
 * @param connectTimeout milliseconds; half of them are for the name
 */
export async function* reach(
  server: { readonly host: string; readonly port: number },
  names: NameSettings,
  connectTimeout: number,
  signal: AbortSignal,
): AsyncGenerator<Reached, undefined> {
  const { host, port } = server
  if (isIP(host) !== 0) {
    yield { socket: connect({ host, port, noDelay: true }) }
    return
  }
  const { openSockets } = await import('../dns/open-sockets.ts')
  yield* openSockets({ host, port }, names, connectTimeout / 2, signal)
}
