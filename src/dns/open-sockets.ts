import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../errors.ts'
import { addressesOf, type Place } from './addresses.ts'
import type { NameSettings } from './ask.ts'

/** A connection whose server has said something already, which waits to be read. */
export interface Greeted {
  readonly socket: Socket
  readonly place: Place
}

/** How the try of an address ended. */
interface Ended {
  readonly attempt: Promise<Ended>
  readonly greeted?: Greeted
  readonly error?: unknown
}

/** Milliseconds that an address is tried alone before the next one is tried beside it. */
const headStart = 500

/**
 * Connections to those of a host's addresses where a server speaks, as an SSH server does by itself, the
 * first to speak first; who finds that one is not the right server asks for the next. An address that
 * is dead, or whose server hangs, costs its head start (RFC 8305, section 5). Those that were given out are
 * the taker's, no other one is left behind. Rejects at the end with what went wrong with the others, if
 * anything did, or at once with the signal's reason.
 *
 * @param milliseconds as long as the name may take to be resolved
 */
export async function* openSockets(
  { host, port }: { host: string; port: number },
  settings: NameSettings,
  milliseconds: number,
  signal: AbortSignal,
): AsyncGenerator<Greeted, undefined> {
  const sockets = new Set<Socket>()
  const attempts = new Set<Promise<Ended>>()
  const errors: unknown[] = []
  const stopped = Promise.withResolvers<never>()
  stopped.promise.catch(() => {})
  const stop = () => stopped.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    const places = addressesOf(host, settings, milliseconds)
    let coming: Promise<IteratorResult<Place, undefined>> | undefined = places.next()
    while (coming !== undefined || attempts.size > 0) {
      // Never the places alone: they may have to wait for an answer about the name.
      const next = await Promise.race([stopped.promise, ...attempts, ...(coming ? [coming] : [])])
      if ('attempt' in next) {
        attempts.delete(next.attempt)
        const { greeted } = next
        // It may have been lost while another one was looked at.
        if (greeted === undefined || greeted.socket.destroyed) {
          errors.push(next.error ?? new Error('the connection was closed'))
          continue
        }
        sockets.delete(greeted.socket)
        yield greeted
      } else if (next.done) {
        coming = undefined
      } else {
        const socket = connect({ host: next.value.address, port, noDelay: true })
        sockets.add(socket)
        const attempt = tryOut(socket, next.value)
        attempts.add(attempt)
        coming = Promise.race([attempt, sleep(headStart)]).then(() => places.next())
        coming.catch(() => {})
      }
    }
    if (errors.length > 0) throw new Error([...new Set(errors.map(describeError))].join('; '))
  } finally {
    signal.removeEventListener('abort', stop)
    for (const socket of sockets) socket.destroy()
  }
}

/** Resolves when it failed, or when there is something to read, which is left there. */
function tryOut(socket: Socket, place: Place): Promise<Ended> {
  const attempt: Promise<Ended> = greeting(socket).then(
    () => ({ attempt, greeted: { socket, place } }),
    (error: unknown) => ({ attempt, error }),
  )
  return attempt
}

async function greeting(socket: Socket): Promise<void> {
  // Until its user listens for errors as well.
  socket.on('error', () => {})
  const ended = once(socket, 'close').then(() => {
    throw new Error('the connection was closed')
  })
  ended.catch(() => {})
  await Promise.race([once(socket, 'readable'), ended])
  if (socket.readableLength === 0) await ended
}
