import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { fileError, hasCode } from './errors.ts'

/**
 * `push` archives ahead of PostgreSQL, `prefetch` fetches ahead of it, and `ship` copies what it has not
 * finished yet.
 */
export type WorkerKind = 'push' | 'prefetch' | 'ship'

/**
 * One worker of a kind for a state directory: whoever listens on an abstract socket of this name. The kernel
 * gives it up with the process, however that ends.
 */
export async function takeLock(
  stateDirectory: string,
  purpose: WorkerKind,
): Promise<Server | undefined> {
  const path = await socketName(stateDirectory, purpose)
  const server = createServer((socket) => socket.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>()
  server.once('error', (error) =>
    hasCode(error, 'EADDRINUSE') ? resolve(undefined) : reject(error),
  )
  server.listen({ path }, () => resolve(server))
  return await promise
}

/** Whether a worker has the lock, be it alive, stopped or hanging. */
export async function isLocked(stateDirectory: string, purpose: WorkerKind): Promise<boolean> {
  const path = await socketName(stateDirectory, purpose)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ path })
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

/** Shorter than the 107 bytes of a socket's name, whatever the directory's path; the same for root. */
async function socketName(stateDirectory: string, purpose: WorkerKind): Promise<string> {
  const { uid } = await stat(stateDirectory).catch((thrown: unknown) => {
    throw fileError('look at', stateDirectory, thrown)
  })
  const hash = createHash('sha256').update(`${uid} ${stateDirectory}`).digest('hex')
  return `\0pgarch-${purpose}-${hash.slice(0, 40)}`
}
