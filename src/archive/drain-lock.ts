import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { hasCode } from '../fs/errors.ts'

/*
 * Only one process drains a local archive, so that what it removes is what it read. The lock is the
 * name of an abstract socket (unix(7)): it ends with the process that has it, however that ends.
 */

/** Runs `use` once nobody else drains. */
export async function withDrainLock<Result>(
  stateDirectory: string,
  use: () => Promise<Result>,
): Promise<Result> {
  const name = lockName(stateDirectory)
  let release = await take(name)
  while (release === undefined) {
    await untilReleased(name)
    release = await take(name)
  }
  return await use().finally(release)
}

/** Runs `use` unless somebody else drains. */
export async function ifNobodyDrains(
  stateDirectory: string,
  use: () => Promise<void>,
): Promise<void> {
  const release = await take(lockName(stateDirectory))
  if (release !== undefined) await use().finally(release)
}

function lockName(stateDirectory: string): string {
  return `\0pgarch-drain-${createHash('sha256').update(stateDirectory).digest('hex')}`
}

async function take(name: string): Promise<(() => void) | undefined> {
  const waiting = new Set<Socket>()
  const server = createServer((socket) => {
    waiting.add(socket)
    socket.on('error', () => {})
  })
  try {
    server.listen(name)
    await once(server, 'listening')
  } catch (thrown) {
    if (hasCode(thrown, 'EADDRINUSE')) return undefined
    throw thrown
  }
  return () => {
    server.close()
    for (const socket of waiting) socket.destroy()
  }
}

/** Whoever has it accepts, says nothing, and hangs up in the end. */
async function untilReleased(name: string): Promise<void> {
  const socket = connect(name)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {}) // it ended before we connected
  await closed
}
