import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { serveMetrics } from '../../src/monitor/serve-metrics.ts'
import { waitFor } from '../support/fleet.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** Serves on a free port of the loopback interface; it ends with the test. */
async function serve(read: () => Promise<string>, patience = 600_000) {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const stop = new AbortController()
  const ended = serveMetrics({ host: '127.0.0.1', port: 0 }, read, {
    patience,
    signal: stop.signal,
  })
  onTestFinished(async () => {
    stop.abort()
    await ended
  })
  const log = () => said.mock.calls.join('')
  const port = () => Number(/http:\/\/127\.0\.0\.1:(\d+)\/metrics/.exec(log())?.[1])
  await waitFor('it listens', () => port() > 0)
  const url = `http://127.0.0.1:${port()}/metrics`
  return { url, port: port(), stop, ended, log }
}

/** What the test decides when and how it ends. */
function readings() {
  const all: PromiseWithResolvers<string>[] = []
  const read = () => {
    const one = Promise.withResolvers<string>()
    all.push(one)
    return one.promise
  }
  return { all, read }
}

/** Resolves when the request is on its way, on a connection of its own. */
async function ask(port: number, method = 'GET'): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {}) // its answer is then empty
  await once(socket, 'connect')
  const sent = Promise.withResolvers<void>()
  const request = `${method} /metrics HTTP/1.1\r\nHost: pgarch\r\nConnection: close\r\n\r\n`
  socket.write(request, () => sent.resolve())
  await sent.promise
  return socket
}

async function bodiesOf(sockets: readonly Socket[]): Promise<(string | undefined)[]> {
  const answers = await Promise.all(sockets.map((socket) => text(socket).catch(() => '')))
  return answers.map((answer) => answer.split('\r\n\r\n')[1])
}

test('a scrape is answered with what was read for it', async () => {
  let count = 0
  const { url } = await serve(async () => `pgarch_count ${++count}\n`)
  const first = await fetch(url)
  expect(first.status).toBe(200)
  expect(first.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(await first.text()).toBe('pgarch_count 1\n')
  expect(await (await fetch(`${url}?from=nowhere`)).text()).toBe('pgarch_count 2\n')
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200)
})

test('scrapes that come together are answered by one reading, and the next by another', async () => {
  const { all, read } = readings()
  const { url, port } = await serve(read)
  const first = await ask(port)
  await waitFor('it reads', () => all.length === 1)
  const others = [await ask(port), await ask(port, 'HEAD')]
  // Once this is answered, those that were sent before were heard.
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(405)
  all[0]?.resolve('pgarch_count 1\n')
  expect(await bodiesOf([first, ...others])).toEqual(['pgarch_count 1\n', 'pgarch_count 1\n', ''])
  expect(all).toHaveLength(1)
  const next = fetch(url)
  await waitFor('it reads again', () => all.length === 2)
  all[1]?.resolve('pgarch_count 2\n')
  expect(await (await next).text()).toBe('pgarch_count 2\n')
})

test('what is no scrape is refused, and nothing is read for it', async () => {
  const { all, read } = readings()
  const { url } = await serve(read)
  const other = await fetch(new URL('/', url))
  expect({ status: other.status, text: await other.text() }).toEqual({
    status: 404,
    text: 'See /metrics.\n',
  })
  const post = await fetch(url, { method: 'POST', body: 'x' })
  expect({ status: post.status, allow: post.headers.get('allow') }).toEqual({
    status: 405,
    allow: 'GET, HEAD',
  })
  expect(all).toEqual([])
})

test('a bug is a 500 and its stack in the log, and the next scrape is answered', async () => {
  const { all, read } = readings()
  const { url, log } = await serve(read)
  const failing = fetch(url)
  await waitFor('it reads', () => all.length === 1)
  all[0]?.reject(new TypeError('no such thing'))
  expect((await failing).status).toBe(500)
  expect(log()).toContain('bug in pgarch: TypeError: no such thing')
  const next = fetch(url)
  await waitFor('it reads again', () => all.length === 2)
  all[1]?.resolve('')
  expect((await next).status).toBe(200)
})

test('a reading that does not end is a 503 for all who ask, and no other one begins until it does', async () => {
  const hanging = Promise.withResolvers<string>()
  let count = 0
  const read = () => (++count === 1 ? hanging.promise : Promise.resolve(`pgarch_count ${count}\n`))
  const { url, log } = await serve(read, 100)
  for (const _ of Array(3)) {
    const late = await fetch(url)
    expect({ status: late.status, text: await late.text() }).toEqual({
      status: 503,
      text: 'See the log.\n',
    })
  }
  expect(count).toBe(1)
  expect(log().match(/ERROR: {2}no answer within 0.1 s/g)).toHaveLength(1)
  hanging.resolve('pgarch_count 1\n')
  expect(await (await fetch(url)).text()).toBe('pgarch_count 2\n')
})

test('the signal ends it at once, also while it reads', async () => {
  const { all, read } = readings()
  const { url, stop, ended } = await serve(read)
  const cut = fetch(url).catch((error: Error) => error.message)
  await waitFor('it reads', () => all.length === 1)
  stop.abort()
  await ended
  expect(await cut).toBe('fetch failed')
  expect(await fetch(url).catch((error: Error) => error.message)).toBe('fetch failed')
})

test('so many connections and no more are kept, whoever holds them', async () => {
  const { port } = await serve(async () => 'pgarch_count 1\n')
  const held: Socket[] = []
  onTestFinished(() => {
    for (const socket of held) socket.destroy()
  })
  for (const _ of Array(50)) {
    const socket = connect(port, '127.0.0.1')
    held.push(socket)
    await once(socket, 'connect')
  }
  const isAnswered = async () => {
    const [body] = await bodiesOf([await ask(port)])
    return body === 'pgarch_count 1\n'
  }
  expect(await isAnswered()).toBe(false)
  held[0]?.destroy()
  await waitFor('one is free', isAnswered)
  // Without a word from them, though before a scraper gives up for good.
  const ended = held.slice(1).map((socket) => once(socket.resume(), 'close'))
  await Promise.all(ended)
  expect(await isAnswered()).toBe(true)
})

test('where another program listens it says so', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => {
    other.close()
  })
  const { port } = other.address() as { port: number }
  const { signal } = new AbortController()
  await expect(
    serveMetrics({ host: '127.0.0.1', port }, async () => '', { patience: 1000, signal }),
  ).rejects.toMatchObject({
    failure: 'unusable',
    message: `could not listen on 127.0.0.1:${port}: address already in use`,
  })
})
