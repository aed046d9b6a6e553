import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { withSchedule } from '../../src/schedule/connect.ts'
import { migrate, readMigrations } from '../../src/schedule/migrate.ts'
import { serverVersions, startServer } from '../support/postgres.ts'
import { createSchedule, sqlFolder } from './fixture.ts'

const migrations = await readMigrations(sqlFolder)
const newest = migrations.length

const init = (url: string, wanted = migrations) =>
  withSchedule({ url, timeoutMilliseconds: 60_000, purpose: 'init' }, (schedule) =>
    migrate(schedule, wanted),
  )

test('migrations are numbered without a gap', () => {
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1))
})

describe.each(serverVersions())('on PostgreSQL $major', (version) => {
  test('many inits at once, in two databases of one server, make one schema each', async () => {
    const server = await startServer({ version })
    await server.query('create database one')
    await server.query('create database two')
    // A database owner with CREATEROLE instead of a superuser, and both at the same time.
    await server.query('create role owner login createrole')
    await server.query('alter database one owner to owner')
    await server.query('alter database two owner to owner')
    const urls = ['one', 'two'].map((database) => server.url(database, 'owner'))
    const results = await Promise.all([...urls, ...urls, ...urls, ...urls].map((url) => init(url)))
    expect(results.filter(({ from }) => from === 0)).toHaveLength(2)
    expect(results.every(({ to }) => to === newest)).toBe(true)
    for (const database of ['one', 'two']) {
      const rows = await server.query('select version from pgarch.schema_version', [], database)
      expect(rows).toHaveLength(newest)
    }
    const roles = "select rolname, rolcanlogin from pg_roles where rolname ~ '^pgarch' order by 1"
    expect(await server.query(roles)).toEqual([
      { rolname: 'pgarch_admin', rolcanlogin: false },
      { rolname: 'pgarch_agent', rolcanlogin: true },
      { rolname: 'pgarch_monitor', rolcanlogin: false },
    ])
  })

  test('everything belongs to pgarch_admin, and public may do nothing', async () => {
    const server = await startServer({ version })
    const { rows } = await createSchedule(server, 'pgarch')
    const owners = await rows(
      `select distinct o.relowner::regrole::text as owner from pg_class o
       where relnamespace = 'pgarch'::regnamespace
       union select proowner::regrole::text from pg_proc where pronamespace = 'pgarch'::regnamespace`,
    )
    expect(owners).toEqual([{ owner: 'pgarch_admin' }])
    const open = await rows(
      `select oid::regprocedure::text as function from pg_proc
       where pronamespace = 'pgarch'::regnamespace
         and (proacl is null or exists (select from aclexplode(proacl) where grantee = 0))`,
    )
    expect(open).toEqual([])
    const unsafe = await rows(
      `select oid::regprocedure::text as function from pg_proc
       where pronamespace = 'pgarch'::regnamespace
         and not coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pgarch, pg_temp"}'`,
    )
    expect(unsafe).toEqual([])
  })

  test('an upgrade adds what is missing, and again nothing', async () => {
    const server = await startServer({ version })
    const url = server.url('postgres')
    expect(await init(url, migrations.slice(0, 1))).toEqual({ from: 0, to: 1 })
    expect(await init(url)).toEqual({ from: 1, to: newest })
    expect(await init(url)).toEqual({ from: newest, to: newest })
  })
})

test('a migration that fails leaves nothing behind', async () => {
  const server = await startServer()
  const broken = [...migrations, { version: newest + 1, file: 'x', sql: 'select 1/0' }]
  await expect(init(server.url(), broken)).rejects.toThrow('division by zero')
  expect(await server.query("select to_regnamespace('pgarch') as schema")).toEqual([
    { schema: null },
  ])
})

test('an older pgarch refuses to touch a newer schema', async () => {
  const server = await startServer()
  await init(server.url())
  await expect(init(server.url(), migrations.slice(0, 1))).rejects.toMatchObject({
    failure: 'refused',
    message: `schema version ${newest} is newer than this pgarch`,
  })
})

test('the agent may call its functions, and nothing else', async () => {
  const server = await startServer()
  const { rows, database } = await createSchedule(server, 'pgarch')
  const agent = new Client({ connectionString: server.url(database, 'pgarch_agent') })
  await agent.connect()
  const outcome = (sql: string) =>
    agent.query(sql).then(
      () => 'allowed',
      (error: { code: string }) => error.code,
    )
  const tables = await rows<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relnamespace = 'pgarch'::regnamespace and relkind in ('r', 'p', 'S')`,
  )
  const functions = await rows<{ name: string; call: string }>(
    `select proname as name,
            format('select pgarch.%I(%s)', proname,
                   (select string_agg('null::' || format_type(type, null), ', ')
                    from unnest(proargtypes) as type)) as call
     from pg_proc where pronamespace = 'pgarch'::regnamespace order by proname`,
  )
  const calls = []
  for (const { name, call } of functions) calls.push({ name, outcome: await outcome(call) })
  const others = []
  for (const { name } of tables) others.push(await outcome(`select * from ${name}`))
  const make = await outcome('create table pgarch.own ()')
  await agent.end()
  expect(new Set(others)).toEqual(new Set(['42501']))
  expect(make).toBe('42501')
  const callable = calls.filter(({ outcome }) => outcome !== '42501').map(({ name }) => name)
  expect(callable).toEqual([
    'archived_after',
    'archived_age',
    'clean_up',
    'cleanup_scope',
    'deliver',
    'drop_wal',
    'locate',
    'record',
    'route',
    'schema_version',
    'shipped',
    'wait_for_copies',
  ])
})

test('the monitor reads everything but credentials', async () => {
  const server = await startServer()
  const { rows } = await createSchedule(server, 'pgarch')
  await rows('set role pgarch_monitor; select * from pgarch.arch_remote_log, pgarch.arch_db_info')
  const credentials = rows(
    'set role pgarch_monitor; select credential_sha256 from pgarch.arch_member',
  )
  await expect(credentials).rejects.toThrow('permission denied')
})
