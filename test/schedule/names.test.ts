import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { noteWorked } from '../../src/dns/addresses.ts'
import type { NameSettings } from '../../src/dns/ask.ts'
import { keptAnswer } from '../../src/dns/kept-answers.ts'
import { type ScheduleSettings, withSchedule } from '../../src/schedule/connect.ts'
import { baseBackup } from '../support/base-backup.ts'
import { makeCertificate, tlsSettings } from '../support/certificate.ts'
import { waitFor } from '../support/fleet.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'
import { type Server, startFrom, startServer } from '../support/postgres.ts'
import { createSchedule } from './fixture.ts'

// A primary at 127.0.0.1 and its standby at 127.0.0.2, on one port; their certificate is for two names.

const home = temporaryFolder('home')
const domain = 'pgarch.test'
let named: Named
let primary: Server
let said: string

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('names', () => {
  beforeAll(async () => {
    named = await startNamed(home.path, domain)
    await named.update(
      'add one 1 A 127.0.0.1',
      'add two 1 A 127.0.0.1',
      'add three 1 A 127.0.0.1',
      'add both 1 A 127.0.0.1',
      'add both 1 A 127.0.0.2',
    )
    const files = makeCertificate(home.path, 'server', [`one.${domain}`, `two.${domain}`])
    primary = await startServer()
    primary.configure(tlsSettings(files))
    await primary.stop()
    await primary.start()
    await createSchedule(primary, 'pgarch')
    await primary.query("alter role pgarch_agent password 'secret'")
    const destination = join(primary.folder, 'standby')
    await baseBackup(primary, destination, { includeWal: true })
    const settings = { listen_addresses: '127.0.0.2', port: primary.port }
    await startFrom(destination, { signal: 'standby', settings })
    mkdirSync(join(home.path, '.postgresql'))
    copyFileSync(files.certificate, join(home.path, '.postgresql', 'root.crt'))
    vi.stubEnv('HOME', home.path)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await named?.stop()
    await home.remove()
  })

  let numbers = 0
  function names(): NameSettings {
    said = ''
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      said += chunk
      return true
    })
    const directory = join(home.path, `names-${numbers++}`)
    return { servers: [named.server], directory }
  }

  /** Resolves to the server by its name, and to the address that the session came to. */
  const connect = (url: string, settings: Partial<ScheduleSettings>) =>
    withSchedule({ url, timeoutMilliseconds: 20_000, ...settings }, async (schedule) => {
      const [row] = await schedule.query<{ at: string; ssl: boolean }>(
        `select host(inet_server_addr()) as at,
                (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as ssl`,
      )
      return [schedule.server, row?.at, row?.ssl]
    })
  const url = (host: string, query = 'sslmode=disable') =>
    `postgresql://pgarch_agent@${host}.${domain}:${primary.port}/pgarch?${query}`
  const server = (host: string) => `${host}.${domain}:${primary.port}`

  afterEach(async () => {
    if (isDown) await named.start()
    isDown = false
    await named.update('delete _pgarch._tcp SRV')
    vi.restoreAllMocks()
  })
  let isDown = false

  async function stopNamed(): Promise<void> {
    await named.stop()
    isDown = true
  }

  it('every address of a host is a server of its own: the one that is wanted is found, and remembered', async () => {
    const of = names()
    for (const last of ['127.0.0.1', '127.0.0.2']) {
      for (const [wanted, at] of [
        ['primary', '127.0.0.1'],
        ['standby', '127.0.0.2'],
      ]) {
        await noteWorked(`both.${domain}`, last, of)
        const query = `sslmode=disable&target_session_attrs=${wanted}`
        expect(await connect(url('both', query), { names: of })).toEqual([
          server('both'),
          at,
          false,
        ])
        expect(await keptAnswer(`both.${domain}`, of)).toBe(at)
      }
    }
  })

  it('an address that is dead, and one that hangs, leave the others their share of the time', async () => {
    const silent = createServer((socket) => socket.unref()).listen(primary.port, '127.0.0.3')
    await once(silent, 'listening')
    onTestFinished(() => void silent.close())
    const addresses = ['127.0.0.1', '127.0.0.3', '127.0.0.4']
    await named.update(...addresses.map((one) => `add many 1 A ${one}`))
    for (const last of addresses) {
      const of = names()
      await noteWorked(`many.${domain}`, last, of)
      const found = await connect(url('many'), { names: of, timeoutMilliseconds: 6000 })
      expect(found[1]).toBe('127.0.0.1')
    }
  })

  it('the resolver is down: the last address that worked is used, and nothing else', async () => {
    const of = names()
    await connect(url('one'), { names: of })
    await stopNamed()
    expect(await connect(url('one'), { names: of })).toEqual([server('one'), '127.0.0.1', false])
    expect(said).toContain('going on with the last address that worked, 127.0.0.1')
    await expect(connect(url('two'), { names: of })).rejects.toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining(`could not resolve "two.${domain}": no DNS server answers`),
    })
    // The same certificate, by a name that it is not for.
    await noteWorked(`three.${domain}`, '127.0.0.1', of)
    await expect(connect(url('three', 'sslmode=verify-full'), { names: of })).rejects.toThrow(
      /does not match certificate/,
    )
  })

  it('the certificate is checked by the name, whatever the address', async () => {
    const of = names()
    const full = 'sslmode=verify-full'
    expect(await connect(url('one', full), { names: of })).toEqual([
      server('one'),
      '127.0.0.1',
      true,
    ])
    await expect(connect(url('three', full), { names: of })).rejects.toThrow(
      /does not match certificate/,
    )
    expect(await keptAnswer(`three.${domain}`, of)).toBeUndefined()
  })

  it('the password is the one that belongs to the name', async () => {
    const of = names()
    const hba = (method: string) => {
      const lines = `local all all trust\nhost all all 127.0.0.1/32 ${method}\n`
      writeFileSync(join(primary.dataDirectory, 'pg_hba.conf'), lines)
      return primary.query('select pg_reload_conf()')
    }
    await hba('scram-sha-256')
    const file = join(home.path, '.pgpass')
    const entry = (host: string, password: string) =>
      `${host}:${primary.port}:pgarch:pgarch_agent:${password}\n`
    writeFileSync(file, entry('127.0.0.1', 'wrong') + entry(`one.${domain}`, 'secret'))
    chmodSync(file, 0o600)
    onTestFinished(async () => {
      rmSync(file)
      await hba('trust')
    })
    await expect(connect(url('one'), { names: of })).resolves.toBeDefined()
    await expect(connect(url('two'), { names: of })).rejects.toThrow('no password supplied')
    await srv(`10 0 ${primary.port} one`)
    await expect(connect(byDomain, { domain, names: of })).resolves.toBeDefined()
  })

  it('a kept connection has moved when its name no longer has its address', async () => {
    await named.update('add roaming 1 A 127.0.0.1')
    await withSchedule(
      { url: url('roaming'), names: names(), timeoutMilliseconds: 20_000 },
      async (schedule) => {
        expect(schedule.hasMoved).toBe(false)
        await named.update('delete roaming A', 'add roaming 1 A 127.0.0.2')
        await waitFor('it has moved', () => schedule.hasMoved)
        expect(await schedule.query('select 1 as n')).toEqual([{ n: 1 }])
      },
    )
  })

  const byDomain = 'postgresql://pgarch_agent@/pgarch?sslmode=disable'
  /** `PRIORITY WEIGHT PORT HOST` */
  const srv = (...records: string[]) =>
    named.update(...records.map((record) => `add _pgarch._tcp 1 SRV ${record}.${domain}.`))

  describe('a domain', () => {
    it('names the servers in the order of their priorities', async () => {
      const of = names()
      await srv(`10 0 ${primary.port} two`, `5 0 ${primary.port} one`, '1 0 1 three')
      expect(await connect(byDomain, { domain, names: of })).toEqual([
        server('one'),
        '127.0.0.1',
        false,
      ])
      const wanted = `${byDomain}&target_session_attrs=standby`
      await srv(`20 0 ${primary.port} both`)
      expect((await connect(wanted, { domain, names: of }))[1]).toBe('127.0.0.2')
    })

    it('does not count where the URL names a host', async () => {
      await srv(`1 0 ${primary.port} one`)
      const found = await connect(url('two'), { domain, names: names() })
      expect(found[0]).toBe(server('two'))
    })

    it('is worth a certificate for a name in it, and no other', async () => {
      const of = names()
      const full = byDomain.replace('disable', 'verify-full')
      await srv(`10 0 ${primary.port} three`)
      await expect(connect(full, { domain, names: of })).rejects.toThrow(
        /does not match certificate/,
      )
      await srv(`20 0 ${primary.port} one`)
      const found = await connect(full, { domain, names: of }).catch((error) => error.message)
      expect(found).toEqual([server('one'), '127.0.0.1', true])
      await named.update(
        'delete _pgarch._tcp SRV',
        `add _pgarch._tcp 1 SRV 1 0 ${primary.port} localhost.`,
      )
      await expect(
        connect(byDomain, { domain, names: { ...of, directory: undefined } }),
      ).rejects.toThrow(`names no server within "${domain}": localhost`)
    })

    it('the resolver is down: the servers of the last time are tried, at their last addresses', async () => {
      const of = names()
      await srv(`10 0 1 two`, `20 0 ${primary.port} one`)
      await connect(byDomain, { domain, names: of })
      await stopNamed()
      expect(await connect(byDomain, { domain, names: of })).toEqual([
        server('one'),
        '127.0.0.1',
        false,
      ])
      expect(said).toContain('going on with its last answer that could be used')
      const nothingKept = { ...of, directory: undefined }
      await expect(connect(byDomain, { domain, names: nothingKept })).rejects.toMatchObject({
        failure: 'unreachable',
        message: `could not resolve "_pgarch._tcp.${domain}": no DNS server answers`,
      })
    })
  })
})
