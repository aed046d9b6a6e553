import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server as NetServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type ScheduleSettings, withSchedule } from '../../src/schedule/connect.ts'
import { baseBackup } from '../support/base-backup.ts'
import { ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { type Server, startFrom, startServer } from '../support/postgres.ts'
import { createSchedule } from './fixture.ts'

let primary: Server
let standby: Server
const home = temporaryFolder('home')
beforeAll(async () => {
  primary = await startServer()
  await createSchedule(primary, 'pgarch')
  const destination = join(primary.folder, 'standby')
  await baseBackup(primary, destination, { includeWal: true })
  standby = await startFrom(destination, { signal: 'standby' })
  vi.stubEnv('HOME', home.path)
})
afterEach(() => vi.stubEnv('PGPASSWORD', undefined))
afterAll(async () => {
  vi.unstubAllEnvs()
  await home.remove()
})

const connect = (url: string, settings: Partial<ScheduleSettings> = {}) =>
  withSchedule(
    { url, timeoutMilliseconds: 20_000, ...settings },
    async (schedule) => schedule.server,
  )

/** Accepts connections and never says a word. */
async function silentServer(): Promise<number> {
  const server: NetServer = createServer((socket) => socket.unref()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const login = 'pgarch_agent'
const address = (...servers: (Server | number)[]) =>
  servers.map((one) => `127.0.0.1:${typeof one === 'number' ? one : one.port}`).join(',')
const url = (query: string, ...servers: (Server | number)[]) =>
  `postgresql://${login}@${address(...servers)}/pgarch?sslmode=disable&${query}`

describe('several hosts', () => {
  test.each([
    ['any', (): Server => standby],
    ['read-write', () => primary],
    ['read-only', () => standby],
    ['primary', () => primary],
    ['standby', () => standby],
    ['prefer-standby', () => standby],
  ])('target_session_attrs=%s, the standby named first', async (wanted, expected) => {
    const found = await connect(url(`target_session_attrs=${wanted}`, standby, primary))
    expect(found).toBe(address(expected()))
  })

  test('prefer-standby takes the primary where there is no standby', async () => {
    const found = await connect(url('target_session_attrs=prefer-standby', primary))
    expect(found).toBe(address(primary))
  })

  test('a session of the wrong kind everywhere is an error that says so', async () => {
    await expect(connect(url('target_session_attrs=read-write', standby))).rejects.toMatchObject({
      failure: 'unreachable',
      message: `scheduling database at ${address(standby)}: session is read-only, not read-write`,
      hint: expect.stringContaining('target_session_attrs'),
    })
    const none = connect(url('target_session_attrs=standby', primary))
    await expect(none).rejects.toThrow('session is primary, not standby')
  })

  test('a dead host and one that never answers are passed by within the deadline', async () => {
    const silent = await silentServer()
    const dead = await deadPort()
    expect(await connect(url('', dead, silent, primary), { timeoutMilliseconds: 3000 })).toBe(
      address(primary),
    )
    const both = connect(url('', dead, silent), { timeoutMilliseconds: 300 })
    await expect(both).rejects.toMatchObject({ failure: 'unreachable' })
    await expect(both).rejects.toThrow(`127.0.0.1:${dead}: connect ECONNREFUSED`)
    await expect(both).rejects.toThrow(`127.0.0.1:${silent}: no answer within`)
  })

  test('a socket directory is a host', async () => {
    const { socketDirectory, port } = primary
    const found = await connect(
      `postgresql:///pgarch?user=${login}&host=${socketDirectory}&port=${port}`,
    )
    expect(found).toBe(`${socketDirectory}:${port}`)
  })
})

describe('calls', () => {
  const sleeping = (settings: Partial<ScheduleSettings>) =>
    withSchedule({ url: url('', primary), timeoutMilliseconds: 1000, ...settings }, (schedule) =>
      schedule.query('select pg_sleep(1.5)'),
    )

  test("a host's call has a deadline, in the server too; a person's has none", async () => {
    await expect(sleeping({})).rejects.toMatchObject({ failure: 'unreachable' })
    await expect(sleeping({ purpose: 'admin' })).resolves.toHaveLength(1)
    const [row] = await withSchedule(
      { url: url('', primary), timeoutMilliseconds: 1000, applicationName: 'pgarch push' },
      (schedule) =>
        schedule.query(
          "select current_setting('statement_timeout') as limit, current_setting('application_name') as name",
        ),
    )
    expect(row).toEqual({ limit: '1s', name: 'pgarch push' })
  })

  test('statements that are asked for at once are run one after another, also behind one that fails', async () => {
    const warnings: string[] = []
    const note = (warning: Error) => warnings.push(warning.message)
    process.on('warning', note)
    const answers = await withSchedule({ url: url('', primary), timeoutMilliseconds: 9000 }, (s) =>
      Promise.allSettled([
        s.query('select 1 as n from pg_sleep(0.1)'),
        s.query('select nothing'),
        s.query('select 2 as n'),
      ]),
    )
    process.off('warning', note)
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(answers[2]).toMatchObject({ value: [{ n: 2 }] })
    expect(warnings).toEqual([])
  })

  test('options of the URL reach the server', async () => {
    const settings = { url: url('options=-c%20geqo%3Doff', primary), timeoutMilliseconds: 9000 }
    const show = () => withSchedule(settings, (schedule) => schedule.query('show geqo'))
    expect(await show()).toEqual([{ geqo: 'off' }])
  })

  test('a server that dies under a call, and one that hangs, are unreachable', async () => {
    const server = await startServer()
    await createSchedule(server, 'pgarch')
    const settings = { url: server.url('pgarch', login), timeoutMilliseconds: 3000 }
    const killed = withSchedule(settings, (schedule) => {
      setTimeout(() => server.kill('SIGQUIT'), 200)
      return schedule.query('select pg_sleep(9)')
    })
    await expect(killed).rejects.toMatchObject({ failure: 'unreachable' })
    await server.ended()
    await server.start()
    const hung = withSchedule({ ...settings, timeoutMilliseconds: 950 }, async (schedule) => {
      const [row] = await schedule.query<{ pid: number }>('select pg_backend_pid() as pid')
      process.kill(row?.pid ?? 0, 'SIGSTOP')
      try {
        return await schedule.query('select 1')
      } finally {
        process.kill(row?.pid ?? 0, 'SIGCONT')
      }
    })
    await expect(hung).rejects.toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining('no answer within 1000 ms'),
    })
  })

  test('no statement is compiled, whatever the server would like', async () => {
    const settings = { url: url('', primary), timeoutMilliseconds: 9000 }
    const [row] = await withSchedule(settings, (schedule) => schedule.query('show jit'))
    expect(row).toEqual({ jit: 'off' })
  })

  test('whatever the caller throws passes through', async () => {
    const thrown = new Error('mine')
    const call = withSchedule({ url: url('', primary), timeoutMilliseconds: 9000 }, async () => {
      throw thrown
    })
    await expect(call).rejects.toBe(thrown)
  })
})

describe('a schema that does not fit', () => {
  test('is missing, too old or too new', async () => {
    const server = await startServer()
    await server.query('create role pgarch_agent login')
    await expect(connect(server.url('postgres', login))).rejects.toMatchObject({
      failure: 'unusable',
      hint: expect.stringContaining('pgarch init'),
    })
    await expect(connect(server.url('nowhere', login))).rejects.toMatchObject({
      failure: 'unusable',
      message: `scheduling database at 127.0.0.1:${server.port}: database "nowhere" does not exist`,
    })
    const { rows } = await createSchedule(server, 'pgarch')
    const agent = () => connect(server.url('pgarch', login))
    await expect(agent()).resolves.toBeDefined()
    await rows("insert into pgarch.schema_version values (999, 'x', 1)")
    await expect(agent()).resolves.toBeDefined()
    await rows('update pgarch.schema_version set oldest_client = 999 where version = 999')
    await expect(agent()).rejects.toThrow('schema version 999 is too new for this pgarch')
    await rows('delete from pgarch.schema_version where version > 1')
    await expect(agent()).rejects.toThrow('schema version 1 is older than this pgarch needs')
    await expect(connect(server.url('pgarch'), { purpose: 'init' })).resolves.toBeDefined()
    await server.query('create role stranger login')
    await expect(connect(server.url('pgarch', 'stranger'))).rejects.toMatchObject({
      failure: 'unusable',
      hint: expect.stringContaining('pgarch_agent'),
    })
  })
})

describe('with passwords and TLS', () => {
  let server: Server
  let other: string
  const root = () => join(server.folder, 'server.crt')
  const hba = (lines: string) => {
    writeFileSync(join(server.dataDirectory, 'pg_hba.conf'), lines)
    return server.query('select pg_reload_conf()')
  }
  const local = 'local all all trust\n'

  beforeAll(async () => {
    server = await startServer()
    await createSchedule(server, 'pgarch')
    await server.query("alter role pgarch_agent password 'secret'")
    const make = (name: string) => {
      const [key, certificate] = [
        join(server.folder, `${name}.key`),
        join(server.folder, `${name}.crt`),
      ]
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
      execFileSync(
        'openssl',
        ['req', '-new', '-x509', '-days', '2', '-nodes', '-newkey', 'rsa:2048', ...subject].concat(
          '-keyout',
          key,
          '-out',
          certificate,
        ),
        { stdio: 'ignore' },
      )
      chmodSync(key, 0o600)
      ownByUnprivileged(key)
      return certificate
    }
    other = make('other')
    make('server')
    server.configure({
      ssl: true,
      ssl_cert_file: root(),
      ssl_key_file: join(server.folder, 'server.key'),
      password_encryption: 'scram-sha-256',
    })
    await server.stop()
    await server.start()
  })

  const ssl = async (mode: string, more = '', host = 'localhost') => {
    const settings = {
      url: `postgresql://${login}@${host}:${server.port}/pgarch?sslmode=${mode}${more}`,
      timeoutMilliseconds: 20_000,
    }
    const sql = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
    const [row] = await withSchedule(settings, (schedule) => schedule.query<{ ssl: boolean }>(sql))
    return row?.ssl
  }
  const encrypted = `${local}hostssl all all 0.0.0.0/0 trust\nhostssl all all ::/0 trust\n`
  const plain = `${local}hostnossl all all 0.0.0.0/0 trust\nhostnossl all all ::/0 trust\n`

  test.each([
    ['disable', 'refused', false],
    ['allow', true, false],
    ['prefer', true, false],
    ['require', true, 'refused'],
  ])('sslmode=%s on a server that insists on TLS: %s; without: %s', async (mode, on, off) => {
    const tried = () =>
      ssl(mode).catch(({ failure }) => (failure === 'unusable' ? 'refused' : failure))
    await hba(encrypted)
    expect(await tried()).toBe(on)
    await hba(plain)
    expect(await tried()).toBe(off)
  })

  test('a server without TLS is talked to in plain, but never with sslmode=require', async () => {
    const query = (mode: string) =>
      connect(url('', primary).replace('sslmode=disable', `sslmode=${mode}`))
    await expect(query('prefer')).resolves.toBeDefined()
    await expect(query('require')).rejects.toThrow('does not support SSL')
  })

  test('verify-ca wants the right issuer, verify-full the right name too', async () => {
    await hba(encrypted)
    const trust = `&sslrootcert=${root()}`
    expect(await ssl('verify-ca', trust)).toBe(true)
    expect(await ssl('verify-ca', trust, '127.0.0.1')).toBe(true)
    expect(await ssl('verify-full', trust)).toBe(true)
    await expect(ssl('verify-full', trust, '127.0.0.1')).rejects.toThrow(/altnames/)
    const wrong = `&sslrootcert=${other}`
    await expect(ssl('verify-ca', wrong)).rejects.toThrow('certificate')
    await expect(ssl('require', wrong)).rejects.toThrow('certificate')
    expect(await ssl('require')).toBe(true)
    await expect(ssl('verify-full')).rejects.toMatchObject({
      failure: 'usage',
      message: 'sslmode=verify-full needs a root certificate',
    })
    await expect(ssl('verify-full', '&sslrootcert=/missing')).rejects.toThrow('"/missing"')
  })

  test('a client certificate is shown', async () => {
    copyFileSync(other, join(server.dataDirectory, 'ca.crt'))
    server.configure({ ssl_ca_file: 'ca.crt' })
    await hba(`${local}hostssl all all 0.0.0.0/0 trust clientcert=verify-ca\n`)
    const key = join(server.folder, 'other.key')
    expect(await ssl('require', `&sslcert=${other}&sslkey=${key}`, '127.0.0.1')).toBe(true)
    await expect(ssl('require', '', '127.0.0.1')).rejects.toThrow('certificate')
  })

  test('the password is from the URL, PGPASSWORD or the password file, and never shown', async () => {
    await hba(`${local}host all all 0.0.0.0/0 scram-sha-256\n`)
    const open = (secret = '', more = '') =>
      connect(`postgresql://${login}${secret}@127.0.0.1:${server.port}/pgarch?${more}`)
    await expect(open()).rejects.toMatchObject({
      failure: 'unusable',
      message: 'no password supplied for user "pgarch_agent"',
    })
    await expect(open(':secret')).resolves.toBeDefined()
    const wrong = await open(':wrong-secret').catch((error) => error)
    expect(wrong).toMatchObject({
      failure: 'unusable',
      message: `scheduling database at 127.0.0.1:${server.port}: password authentication failed for user "pgarch_agent"`,
    })
    expect(`${wrong.message}${wrong.hint}${wrong.cause.stack}`).not.toContain('wrong-secret')

    vi.stubEnv('PGPASSWORD', 'secret')
    await expect(open()).resolves.toBeDefined()
    vi.stubEnv('PGPASSWORD', undefined)

    const file = join(home.path, '.pgpass')
    writeFileSync(file, `127.0.0.1:${server.port}:pgarch:${login}:secret\n`, { mode: 0o600 })
    await expect(open()).resolves.toBeDefined()
    chmodSync(file, 0o644)
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    await expect(open()).rejects.toThrow('no password supplied')
    expect(written.mock.calls.join()).toContain('has group or world access')
    written.mockRestore()
    await expect(open('', 'passfile=/missing')).rejects.toThrow('no password supplied')
  })
})
