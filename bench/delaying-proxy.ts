import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * A distant server: node delaying-proxy.ts HOST PORT MILLISECONDS listens on a free port, which it
 * prints, and passes on what comes, either way, after so many milliseconds. It holds back nothing else,
 * so that only the two ends' own windows bound what is under way.
 */
const [host = '', port = '', delay = ''] = process.argv.slice(2)

const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const far = connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true })
  pass(near, far)
  pass(far, near)
})

/** In order, as timers of one duration are. */
function pass(from: Socket, to: Socket): void {
  const later = (act: () => void) => setTimeout(act, Number(delay))
  from.on('data', (bytes) => later(() => to.write(bytes)))
  from.on('end', () => later(() => to.end()))
  from.on('error', () => later(() => to.destroy()))
}

server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log((server.address() as AddressInfo).port)
process.on('disconnect', () => process.exit())
