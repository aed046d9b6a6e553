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

/** Milliseconds that an address is tried alone before the next one is tried beside it. */
const headStart = 500

/**
 * Connects to the first of a host's addresses where a server speaks, as an SSH server does by itself: one
 * that is dead, or whose server hangs, costs its head start (RFC 8305, section 5). Rejects with
 * what went wrong, or with the signal's reason; no other connection is left behind.
 *
 * @param milliseconds as long as the name may take to be resolved
 */
export async function openSocket(
  { host, port }: { host: string; port: number },
  settings: NameSettings,
  milliseconds: number,
  signal: AbortSignal,
): Promise<Greeted> {
  const sockets: Socket[] = []
  const tries: Promise<Greeted>[] = []
  const won = Promise.withResolvers<Greeted>()
  won.promise.catch(() => {})
  const stop = () => won.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  let winner: Greeted | undefined
  try {
    signal.throwIfAborted()
    const places = addressesOf(host, settings, milliseconds)
    for (;;) {
      // Never the places alone: they may have to wait for an answer about the name.
      const next = await Promise.race([won.promise, places.next()])
      if ('socket' in next) {
        winner = next
        return next
      }
      if (next.done) break
      const socket = connect({ host: next.value.address, port, noDelay: true })
      sockets.push(socket)
      const attempt = greeting(socket, next.value)
      tries.push(attempt)
      attempt.then(won.resolve, () => {})
      await Promise.race([won.promise, attempt.catch(() => {}), sleep(headStart)])
    }
    Promise.allSettled(tries).then((ends) => won.reject(new Error(describeEnds(ends))))
    winner = await won.promise
    return winner
  } finally {
    signal.removeEventListener('abort', stop)
    for (const socket of sockets) if (socket !== winner?.socket) socket.destroy()
  }
}

/** Resolves when there is something to read, which is left there. */
async function greeting(socket: Socket, place: Place): Promise<Greeted> {
  // Until its user listens for errors as well.
  socket.on('error', () => {})
  const ended = once(socket, 'close').then(() => {
    throw new Error('the connection was closed')
  })
  ended.catch(() => {})
  await Promise.race([once(socket, 'readable'), ended])
  if (socket.readableLength === 0) await ended
  return { socket, place }
}

function describeEnds(ends: readonly PromiseSettledResult<unknown>[]): string {
  const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  return [...new Set(reasons.map(describeError))].join('; ')
}
