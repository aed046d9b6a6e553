import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** What becomes of a connection after so many bytes from the client. */
export type Trouble = 'none' | 'reset' | 'drip'

/** A port through which a server is reached, well or badly. */
export interface TcpProxy {
  readonly host: string
  readonly port: number
  /** For connections from now on. */
  trouble: Trouble
  close(): Promise<void>
}

/** In bytes: a login takes less, a segment more. */
const loginAtMost = 100_000
/** Of one chunk in each `pause`, in bytes and milliseconds: some kB a second. */
const drop = 400
const pause = 100

/** @param untroubled so many bytes of a connection come through, whatever its trouble */
export async function startTcpProxy(
  to: { host: string; port: number },
  untroubled = loginAtMost,
): Promise<TcpProxy> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const target = connect(to)
    for (const socket of [client, target]) {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      socket.on('error', () => {}) // what one end suffers, the other is told by its end
    }
    client.once('close', () => target.destroy())
    target.once('close', () => client.destroy())
    target.pipe(client)
    client.pipe(troubled(proxy.trouble, client, untroubled)).pipe(target)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: TcpProxy = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    trouble: 'none',
    async close() {
      server.close()
      for (const socket of open) socket.destroy()
      await once(server, 'close')
    },
  }
  return proxy
}

function troubled(trouble: Trouble, client: Socket, untroubled: number): Transform {
  let passed = 0
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length
      if (trouble === 'none' || passed < untroubled) return done(null, chunk)
      if (trouble === 'reset') {
        client.resetAndDestroy()
        return done()
      }
      for (let start = 0; start < chunk.length && !client.destroyed; start += drop) {
        this.push(chunk.subarray(start, start + drop))
        await sleep(pause)
      }
      done()
    },
  })
}
