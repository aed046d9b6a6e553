import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { addressesOf, noteWorked } from '../../src/dns/addresses.ts'
import { askAddresses, type NameSettings } from '../../src/dns/ask.ts'
import { followAddress, followService } from '../../src/dns/follow.ts'
import { openSockets } from '../../src/dns/open-sockets.ts'
import { noteServices, servicesOf } from '../../src/dns/services.ts'
import { waitFor } from '../support/fleet.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'

const folder = temporaryFolder('names')
afterAll(folder.remove)

let named: Named
let said: string
let numbers = 0

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('names', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path)
  })
  afterEach(async () => {
    named.thaw()
    vi.restoreAllMocks()
  })
  afterAll(() => named.stop())

  /** Of a state directory of its own. */
  function settings(): NameSettings & { directory: string } {
    said = ''
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      said += chunk
      return true
    })
    const state = join(folder.path, `state-${numbers++}`)
    mkdirSync(state)
    return { servers: [named.server], directory: join(state, 'names') }
  }

  async function all(host: string, of: NameSettings, milliseconds = 10_000): Promise<string[]> {
    const found: string[] = []
    for await (const { address } of addressesOf(`${host}.${named.zone}`, of, milliseconds)) {
      found.push(address)
    }
    return found
  }

  const worked = (host: string, address: string, of: NameSettings) =>
    noteWorked(`${host}.${named.zone}`, address, of)

  it('both families take turns, and the shortest time to live counts', async () => {
    const of = settings()
    await named.update('add both 60 AAAA ::1', 'add both 50 A 127.0.0.2', 'add both 50 A 127.0.0.3')
    await named.update('add alias 20 CNAME both.pgarch.test.')
    const { addresses, timeToLive } = await askAddresses(`alias.${named.zone}`, of)
    expect(addresses.toSorted()).toEqual(['127.0.0.2', '127.0.0.3', '::1'])
    expect(addresses[1]).toBe('::1')
    expect(timeToLive).toBe(20_000)
    expect(await askAddresses(`both.${named.zone}`, of)).toMatchObject({ timeToLive: 50_000 })
  })

  it('a server that answers for one family and drops the question for the other is enough', async () => {
    const one = createSocket('udp4').bind(0, '127.0.0.1')
    onTestFinished(() => void one.close())
    one.on('message', (query, { address, port }) => {
      // RFC 1035, section 4.1: the name ends with a zero, then come the type and the class.
      const end = query.indexOf(0, 12) + 5
      if (query.readUInt16BE(end - 4) !== 1) return
      const header = [...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
      const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]
      one.send(Buffer.from([...header, ...query.subarray(12, end), ...record]), port, address)
    })
    await once(one, 'listening')
    const of = { ...settings(), servers: [`127.0.0.1:${one.address().port}`] }
    expect(await all('four', of, 2000)).toEqual(['127.0.0.2'])
  })

  it('localhost is this machine, whatever DNS says', async () => {
    const { addresses } = await askAddresses('localhost', settings())
    expect(addresses).toContain('127.0.0.1')
  })

  it('the address that worked last is the first, as long as the name has it', async () => {
    const of = settings()
    await named.update('add several 1 A 127.0.0.2', 'add several 1 A 127.0.0.3')
    for (const last of ['127.0.0.2', '127.0.0.3']) {
      await worked('several', last, of)
      const found = await all('several', of)
      expect(found).toHaveLength(2)
      expect(found[0]).toBe(last)
    }
    await named.update('delete several A 127.0.0.3')
    expect(await all('several', of)).toEqual(['127.0.0.2'])
    expect(said).toBe('')
  })

  it('a name that nobody knows, or that has no address, has none', async () => {
    const of = settings()
    await named.update('add text 1 TXT "x"')
    await expect(all('nobody', of)).rejects.toMatchObject({
      failure: 'unreachable',
      message: `could not resolve "nobody.${named.zone}": there is no such name`,
    })
    await expect(all('text', of)).rejects.toThrow('the name has no such record')
  })

  it.each([
    ['is down', () => named.stop(), 'no DNS server answers'],
    ['hangs', async () => named.freeze(), 'is not resolved within 1 s'],
  ])(
    'the resolver %s: the last address that worked is used, and it is told',
    async (_, go, why) => {
      const of = settings()
      await named.update('add kept 1 A 127.0.0.2')
      await worked('kept', '127.0.0.3', of)
      await worked('kept', '127.0.0.2', of)
      onTestFinished(async () => {
        named.thaw()
        await named.stop()
        await named.start()
      })
      await go()
      expect(await all('kept', of)).toEqual(['127.0.0.2'])
      expect(said).toContain(why)
      expect(said).toContain('going on with the last address that worked, 127.0.0.2')
      expect(readdirSync(of.directory)).toEqual(['kept.pgarch.test.json'])
      await expect(all('new', of, 500)).rejects.toMatchObject({ failure: 'unreachable' })
    },
  )

  it('the resolver answers late: after the last address that worked come those of the answer', async () => {
    const of = settings()
    await named.update('add late 1 A 127.0.0.4')
    await worked('late', '127.0.0.2', of)
    named.freeze()
    const places = addressesOf(`late.${named.zone}`, of, 10_000)
    expect((await places.next()).value).toMatchObject({ address: '127.0.0.2', left: 2 })
    named.thaw()
    expect((await places.next()).value).toMatchObject({ address: '127.0.0.4', left: 1 })
    expect((await places.next()).done).toBe(true)
  })

  it('where nothing can be kept a warning says so, and names are resolved all the same', async () => {
    const of = { ...settings(), directory: join(folder.path, 'missing', 'names') }
    await named.update('add free 1 A 127.0.0.2')
    await worked('free', '127.0.0.2', of)
    expect(said).toMatch(
      /could not keep where "free.pgarch.test" leads: could not create directory/,
    )
    expect(await all('free', of)).toEqual(['127.0.0.2'])
  })

  describe('a connection', () => {
    /** On one of the loopback addresses, all of them on one port. */
    async function serve(address: string, port: number, greeting?: string): Promise<Server> {
      const server = createServer((socket) => {
        socket.on('error', () => {})
        if (greeting !== undefined) socket.write(greeting)
        socket.unref()
      }).listen(port, address)
      await once(server, 'listening')
      onTestFinished(() => void server.close())
      return server
    }
    const portOf = (server: Server) => (server.address() as { port: number }).port

    async function open(host: string, port: number, of: NameSettings, limit = 20_000) {
      const signal = AbortSignal.timeout(limit)
      const to = { host: `${host}.${named.zone}`, port }
      for await (const { socket, place } of openSockets(to, of, limit, signal)) {
        onTestFinished(() => void socket.destroy())
        return { address: place.address, greeting: String(socket.read()) }
      }
      throw new Error('there is none')
    }

    it('goes to the address that answers: one is dead, the server of another hangs', async () => {
      const of = settings()
      const port = portOf(await serve('127.0.0.2', 0))
      await serve('127.0.0.4', port, 'hello')
      const addresses = ['127.0.0.2', '127.0.0.3', '127.0.0.4']
      await named.update(...addresses.map((one) => `add three 1 A ${one}`))
      for (const last of addresses.slice(0, 2)) {
        await worked('three', last, of)
        expect(await open('three', port, of)).toEqual({ address: '127.0.0.4', greeting: 'hello' })
      }
    })

    it('is followed by those to the other addresses, and none of these is left behind', async () => {
      const of = settings()
      const hanging = await serve('127.0.0.2', 0)
      const port = portOf(hanging)
      const closed = new Promise((resolve) =>
        hanging.on('connection', (socket) => socket.on('close', resolve).resume()),
      )
      const addresses = ['127.0.0.3', '127.0.0.4']
      for (const address of addresses) await serve(address, port, 'hello')
      await named.update(
        'add next 1 A 127.0.0.2',
        ...addresses.map((address) => `add next 1 A ${address}`),
      )
      await worked('next', '127.0.0.2', of)
      const to = { host: `next.${named.zone}`, port }
      const found: string[] = []
      for await (const { socket, place } of openSockets(
        to,
        of,
        20_000,
        new AbortController().signal,
      )) {
        socket.destroy()
        found.push(place.address)
        if (found.length === 2) break
      }
      expect(found.toSorted()).toEqual(addresses)
      await closed
    })

    it('says why none of the addresses answers, each reason once', async () => {
      const of = settings()
      const port = portOf(await serve('127.0.0.5', 0, 'hello'))
      await named.update('add dead 1 A 127.0.0.2', 'add dead 1 A 127.0.0.3')
      await expect(open('dead', port, of)).rejects.toThrow(
        new RegExp(
          `^connect ECONNREFUSED 127.0.0.[23]:${port}; connect ECONNREFUSED 127.0.0.[23]:\\d+$`,
        ),
      )
      await expect(open('nobody', port, of)).rejects.toThrow('there is no such name')
    })

    it('ends with its deadline, and leaves no connection behind', async () => {
      const of = settings()
      const server = await serve('127.0.0.2', 0)
      const closed = new Promise((resolve) =>
        server.on('connection', (socket) => socket.on('close', resolve).resume()),
      )
      await named.update('add silent 1 A 127.0.0.2')
      await expect(open('silent', portOf(server), of, 300)).rejects.toThrow('timeout')
      await closed
    })

    it('is one that has moved when the name no longer has its address, and not before', async () => {
      const of = settings()
      await named.update('add follow 1 A 127.0.0.2')
      let moved = 0
      const look = { host: `follow.${named.zone}`, address: '127.0.0.2', timeToLive: 1000 }
      const ends = [
        followAddress(look, of, () => moved++),
        followAddress({ ...look, host: `gone.${named.zone}` }, of, () => moved++),
      ]
      onTestFinished(() => {
        for (const end of ends) end()
      })
      await named.update('add follow 1 A 127.0.0.3')
      await sleep(1500)
      await named.stop()
      await sleep(1500)
      expect(moved).toBe(0)
      await named.start()
      await named.update('delete follow A 127.0.0.2')
      await waitFor('it is told', () => moved > 0)
      await sleep(1500)
      expect(moved).toBe(1)
    })
  })

  describe('the scheduling database by SRV records', () => {
    const find = (of: NameSettings, domain = named.zone) => servicesOf(domain, of, 10_000)
    const record = '_pgarch._tcp 1 SRV'

    it('are tried by priority; servers that are not within the domain are not', async () => {
      const of = settings()
      await named.update(
        `add ${record} 20 0 5433 second.${named.zone}.`,
        `add ${record} 10 5 5432 first.${named.zone}.`,
        `add ${record} 1 0 5432 stranger.example.`,
        `add ${record} 1 0 5432 evil${named.zone}.`,
      )
      onTestFinished(() => named.update('delete _pgarch._tcp SRV'))
      expect(await find(of)).toEqual([
        { host: `first.${named.zone}`, port: 5432, priority: 10, weight: 5 },
        { host: `second.${named.zone}`, port: 5433, priority: 20, weight: 0 },
      ])
      await named.update(
        `delete _pgarch._tcp SRV 20 0 5433 second.${named.zone}.`,
        `delete _pgarch._tcp SRV 10 5 5432 first.${named.zone}.`,
      )
      await expect(find(of)).rejects.toThrow(/names no server within "pgarch.test": .*stranger/)
    })

    it('no record, and one that says there is no such service, are no answer to use', async () => {
      const of = settings()
      await expect(find(of)).rejects.toThrow(
        'could not resolve "_pgarch._tcp.pgarch.test": there is no such name',
      )
      await named.update(`add ${record} 0 0 0 .`)
      onTestFinished(() => named.update('delete _pgarch._tcp SRV'))
      await expect(find(of)).rejects.toThrow('says that there is no scheduling database')
      expect(said).toBe('')
    })

    it('a record that says there is no such service ends the use of the last answer', async () => {
      const of = settings()
      const first = { host: `db.${named.zone}`, port: 5432, priority: 10, weight: 0 }
      await noteServices(named.zone, [first], of)
      onTestFinished(() => named.update('delete _pgarch._tcp SRV'))
      await named.update(`add ${record} 0 0 0 .`)
      await expect(find(of)).rejects.toThrow('says that there is no scheduling database')
      // No record at all may be a mistake, and so may be one of somebody else's server.
      await named.update('delete _pgarch._tcp SRV', `add ${record} 1 0 5432 stranger.example.`)
      expect(await find(of)).toEqual([first])
      await named.update('delete _pgarch._tcp SRV')
      expect(await find(of)).toEqual([first])
    })

    it.each([
      ['is down', () => named.stop()],
      ['hangs', async () => named.freeze()],
    ])('the resolver %s: the last answer that could be used is', async (_title, go) => {
      const of = settings()
      await named.update(`add ${record} 10 0 5432 db.${named.zone}.`)
      const answer = await find(of)
      await noteServices(named.zone, answer, of)
      onTestFinished(async () => {
        named.thaw()
        await named.stop()
        await named.start()
        await named.update('delete _pgarch._tcp SRV')
      })
      await go()
      expect(await find(of)).toEqual(answer)
      expect(said).toContain('going on with its last answer that could be used')
      await expect(servicesOf('other.test', of, 300)).rejects.toMatchObject({
        failure: 'unreachable',
      })
    })

    it('a server that they no longer name has moved', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      onTestFinished(() => void vi.useRealTimers())
      const of = settings()
      await named.update(`add ${record} 10 0 5432 db.${named.zone}.`)
      let moved = 0
      const service = { domain: named.zone, host: `db.${named.zone}`, port: 5432 }
      onTestFinished(() => named.update('delete _pgarch._tcp SRV'))
      onTestFinished(followService(service, of, () => moved++))
      await vi.advanceTimersByTimeAsync(60_000)
      await sleep(500)
      expect(moved).toBe(0)
      await named.update(`add ${record} 10 0 5433 db.${named.zone}.`)
      await named.update(`delete _pgarch._tcp SRV 10 0 5432 db.${named.zone}.`)
      await waitFor('it is told', async () => {
        await vi.advanceTimersByTimeAsync(60_000)
        return moved > 0
      })
    })
  })
})
