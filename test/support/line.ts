import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a server through this process, on which a test can hold up a transfer at a chosen byte. */
export interface Line {
  readonly host: string
  readonly port: number
  /**
   * Resolves when so many more bytes passed, in both directions together. The connection that the last
   * of them took then lets nothing through any more; others are free.
   */
  holdAfter(bytes: number): Promise<void>
  close(): Promise<void>
}

export async function startLine(to: { host: string; port: number }): Promise<Line> {
  const open = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  let reached = () => {}
  const server = createServer((client) => {
    const remote = connect({ host: to.host, port: to.port, noDelay: true })
    const ends = [client, remote] as const
    let isHeld = false
    for (const [from, to] of [ends, ends.toReversed()] as [Socket, Socket][]) {
      open.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
      // What arrives is read on, and thrown away: an end that is not read is not noticed.
      from.on('data', (chunk) => {
        if (isHeld) return
        to.write(chunk)
        left -= chunk.length
        if (left > 0) return
        left = Number.POSITIVE_INFINITY
        isHeld = true
        reached()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    host: '127.0.0.1',
    port: address.port,
    holdAfter(bytes) {
      left = bytes
      return new Promise((resolve) => {
        reached = resolve
      })
    },
    async close() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
