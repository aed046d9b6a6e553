import { userInfo } from 'node:os'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { readFingerprint, writeFingerprint } from '../../src/postgres/fingerprint.ts'
import { connectToProduction, readServerState } from '../../src/postgres/production.ts'
import { type Server, serverVersions, startServer } from '../support/postgres.ts'

const first = { fingerprint: '0b5c1a52-58a7-4c0e-9a0e-6f1d3c5b7a91', walSegmentSize: 2 ** 20 }
const second = { ...first, fingerprint: '6f1d3c5b-9a0e-4c0e-58a7-0b5c1a520b5c' }

describe.each(serverVersions())('PostgreSQL $major', (version) => {
  let server: Server
  let connection: Client
  beforeAll(async () => {
    server = await startServer({ version, walSegmentSizeMegabytes: 1 })
    connection = await connectToProduction({ ...server, user: 'postgres' })
  })
  afterAll(() => connection.end())

  test('tells its state', async () => {
    const [control] = await server.query(
      'select system_identifier::text as id from pg_control_system()',
    )
    expect(await readServerState(connection)).toEqual({
      inRecovery: false,
      walSegmentSize: 2 ** 20,
      systemIdentifier: control?.id,
      serverVersionNum: expect.any(Number),
      dataDirectory: server.dataDirectory,
    })
    expect(Math.floor((await readServerState(connection)).serverVersionNum / 10_000)).toBe(
      version.major,
    )
  })

  test('has no fingerprint at first; keeps one through repetition; takes another', async () => {
    expect(await readFingerprint(connection)).toBeUndefined()
    await writeFingerprint(connection, first)
    const stored = await readFingerprint(connection)
    expect(stored).toEqual({ ...first, createTime: expect.any(Date) })
    await writeFingerprint(connection, first)
    expect(await readFingerprint(connection)).toEqual(stored)
    await writeFingerprint(connection, second)
    expect(await readFingerprint(connection)).toMatchObject(second)
    expect(await server.query('select id from pgarch.fingerprint')).toEqual([{ id: 1 }])
    await server.query('delete from pgarch.fingerprint')
    expect(await readFingerprint(connection)).toBeUndefined()
  })

  test("asks for the operating system's user, whatever PGUSER says", async () => {
    const { username } = userInfo()
    const roles = await server.query('select 1 from pg_roles where rolname = $1', [username])
    if (roles.length === 0) await server.query(`create role "${username}" login`)
    vi.stubEnv('PGUSER', 'nobody_at_all')
    const { socketDirectory, port } = server
    const own = await connectToProduction({ socketDirectory, port }).finally(vi.unstubAllEnvs)
    const { rows } = await own.query('select current_user::text as name')
    await own.end()
    expect(rows).toEqual([{ name: username }])
  })

  test('refuses an unknown user', async () => {
    await expect(connectToProduction({ ...server, user: 'nobody_at_all' })).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringContaining('nobody_at_all'),
    })
  })

  test('refuses a user who may not see or write', async () => {
    await server.query('create role ordinary login')
    const ordinary = await connectToProduction({ ...server, user: 'ordinary' })
    try {
      await expect(readServerState(ordinary)).rejects.toMatchObject({
        failure: 'unusable',
        message: expect.stringMatching(
          /^could not read the state of the server: (permission denied|must be superuser)/,
        ),
      })
    } finally {
      await ordinary.end()
    }
  })

  test('is missed when it stops under an open connection, and when it is down', async () => {
    const open = await connectToProduction({ ...server, user: 'postgres' })
    await server.stop('immediate')
    await expect(readServerState(open)).rejects.toMatchObject({ failure: 'unreachable' })
    await expect(connectToProduction({ ...server, user: 'postgres' })).rejects.toMatchObject({
      failure: 'unreachable',
      message: expect.stringContaining(
        `could not connect to the server on socket "${server.socketDirectory}"`,
      ),
    })
  })
})

test.each([
  ['0', '0'],
  ['9223372036854775807', '9223372036854775807'],
  ['-1', '18446744073709551615'],
  ['-9223372036854775808', '9223372036854775808'],
])('a system identifier that SQL prints as %s is %s', async (printed, expected) => {
  const connection = { query: async () => ({ rows: [{ system_identifier: printed }] }) }
  expect((await readServerState(connection)).systemIdentifier).toBe(expected)
})
