import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PgarchError } from '../errors.ts'
import { hasCode, systemMessage } from '../fs/errors.ts'
import { log } from '../log.ts'
import { within } from '../within.ts'
import { expositionType } from './exposition.ts'

/** Where to listen; port 0: any that is free. */
export interface ListenAddress {
  /** A name or an address. */
  readonly host: string
  readonly port: number
}

/** Prometheus servers, and a person or two; who comes later is cut off. */
const mostConnections = 50

/** Milliseconds in which a request must be there; nobody sends us anything long. */
const requestTimeout = 5000

/**
 * Answers GET /metrics with what `read` returns, until the signal. Requests that come while it reads are
 * answered with what that brings: readings never run beside each other, however many servers scrape. One
 * that takes longer than `patience`, in milliseconds, is a 503 from then on, until it ends.
 *
 * @throws PgarchError `unusable` when nobody can listen there
 */
export async function serveMetrics(
  address: ListenAddress,
  read: () => Promise<string>,
  { patience, signal }: { readonly patience: number; readonly signal: AbortSignal },
): Promise<void> {
  let reading: Promise<string> | undefined
  const readOnce = () => {
    if (reading !== undefined) return reading
    const all = read().finally(() => {
      reading = undefined
    })
    reading = within(all, patience)
    // Once for all who wait for it.
    reading.catch((thrown: unknown) => log.error(thrown))
    return reading
  }
  const limits = {
    headersTimeout: requestTimeout,
    requestTimeout,
    // Node.js looks every 30 s else, and so long those who say nothing would keep others out.
    connectionsCheckingInterval: 1000,
  }
  const server = createServer(limits, ({ method = '', url = '' }, response) => {
    if (url.split('?')[0] !== '/metrics') return answer(response, 404, 'See /metrics.\n')
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return answer(response, 405, 'It can only be read.\n')
    }
    readOnce().then(
      (text) => answer(response, 200, text, expositionType),
      (thrown: unknown) => {
        answer(response, thrown instanceof PgarchError ? 503 : 500, 'See the log.\n')
      },
    )
  })
  server.maxConnections = mostConnections
  try {
    server.listen({ ...address })
    await once(server, 'listening', { signal })
    log.info(`serves http://${nameOf(server.address() as AddressInfo)}/metrics`)
    await once(server, 'close', { signal })
  } catch (thrown) {
    if (!signal.aborted) throw listenError(address, thrown)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.statusCode = status
  response.setHeader('Content-Type', type)
  response.end(text)
}

function listenError({ host, port }: ListenAddress, thrown: unknown): unknown {
  if (!hasCode(thrown, 'EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOTFOUND', 'EAI_AGAIN')) {
    return thrown
  }
  const { errno = 0 } = thrown as NodeJS.ErrnoException
  const where = nameOf({ address: host, port })
  return new PgarchError('unusable', `could not listen on ${where}: ${systemMessage(errno)}`, {
    cause: thrown,
  })
}

function nameOf({ address, port }: { address: string; port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
