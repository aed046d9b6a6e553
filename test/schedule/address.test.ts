import { describe, expect, test } from 'vitest'
import { PgarchError } from '../../src/errors.ts'
import { parseScheduleAddress } from '../../src/schedule/address.ts'

const parse = (url: string, environment: Record<string, string> = {}) =>
  parseScheduleAddress(url, environment, 'me')

test('an empty URL is this user on localhost', () => {
  expect(parse('postgresql://')).toEqual({
    hosts: [{ host: 'localhost', port: 5432 }],
    database: 'me',
    user: 'me',
    password: undefined,
    passwordFile: undefined,
    sessionAttributes: 'any',
    sslMode: 'prefer',
    sslRootCertificate: undefined,
    sslCertificate: undefined,
    sslKey: undefined,
    connectTimeoutSeconds: undefined,
    applicationName: undefined,
    options: undefined,
  })
})

describe('hosts', () => {
  test.each([
    ['postgres://db', [['db', 5432]]],
    ['postgresql://db:6000/x', [['db', 6000]]],
    [
      'postgresql://a,b:6000,c/x',
      [
        ['a', 5432],
        ['b', 6000],
        ['c', 5432],
      ],
    ],
    [
      'postgresql://a,b/x?port=6000',
      [
        ['a', 6000],
        ['b', 6000],
      ],
    ],
    [
      'postgresql://a,b/x?port=1,2',
      [
        ['a', 1],
        ['b', 2],
      ],
    ],
    [
      'postgresql://[2001:db8::1]:6000,[::1]/x',
      [
        ['2001:db8::1', 6000],
        ['::1', 5432],
      ],
    ],
    ['postgresql:///x?host=/run/postgresql&port=6000', [['/run/postgresql', 6000]]],
    ['postgresql://%2Frun%2Fpostgresql/x', [['/run/postgresql', 5432]]],
    [
      'postgresql:///x?host=/a,db',
      [
        ['/a', 5432],
        ['db', 5432],
      ],
    ],
    ['postgresql://me@db?sslmode=disable', [['db', 5432]]],
  ])('%s', (url, expected) => {
    expect(parse(url).hosts.map(({ host, port }) => [host, port])).toEqual(expected)
  })

  test('come from the environment where the URL has none', () => {
    expect(parse('postgresql:///x', { PGHOST: 'h', PGPORT: '7' }).hosts).toEqual([
      { host: 'h', port: 7 },
    ])
    expect(parse('postgresql://db/x', { PGHOST: 'h', PGPORT: '7' }).hosts).toEqual([
      { host: 'db', port: 7 },
    ])
  })
})

describe('everything else', () => {
  test.each([
    ['postgresql://u:p%40:%2F@db/d%20b', { user: 'u', password: 'p@:/', database: 'd b' }],
    ['postgresql://u@db', { user: 'u', password: undefined, database: 'u' }],
    [
      'postgresql://db/?user=u&password=a=b&dbname=d',
      { user: 'u', password: 'a=b', database: 'd' },
    ],
    ['postgresql://db?target_session_attrs=read-write', { sessionAttributes: 'read-write' }],
    [
      'postgresql://db?target_session_attrs=prefer-standby',
      { sessionAttributes: 'prefer-standby' },
    ],
    [
      'postgresql://db?sslmode=verify-full&sslrootcert=/r&sslcert=/c&sslkey=/k',
      { sslMode: 'verify-full', sslRootCertificate: '/r', sslCertificate: '/c', sslKey: '/k' },
    ],
    ['postgresql://db?connect_timeout=7', { connectTimeoutSeconds: 7 }],
    ['postgresql://db?connect_timeout=0', { connectTimeoutSeconds: undefined }],
    [
      'postgresql://db?application_name=a%20b&options=-c%20geqo%3Doff&passfile=/p',
      { applicationName: 'a b', options: '-c geqo=off', passwordFile: '/p' },
    ],
  ])('%s', (url, expected) => {
    expect(parse(url)).toMatchObject(expected)
  })

  test('comes from the environment where the URL is silent', () => {
    const environment = {
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 'p',
      PGPASSFILE: '/f',
      PGSSLMODE: 'require',
      PGTARGETSESSIONATTRS: 'primary',
    }
    const expected = {
      user: 'u',
      database: 'd',
      password: 'p',
      passwordFile: '/f',
      sslMode: 'require',
      sessionAttributes: 'primary',
    }
    expect(parse('postgresql://db', environment)).toMatchObject(expected)
    expect(parse('postgresql://x:y@db/z?sslmode=allow', environment)).toMatchObject({
      user: 'x',
      password: 'y',
      database: 'z',
      sslMode: 'allow',
    })
  })
})

test.each([
  ['mysql://secret@db', 'must begin with postgresql://'],
  ['host=db password=secret', 'must begin with postgresql://'],
  ['postgresql://u:secret@db:x/d', 'malformed host'],
  ['postgresql://u:secret@[::1/d', 'malformed host'],
  ['postgresql://u:secret@db:70000/d', 'invalid port number "70000"'],
  ['postgresql://u:secret@a,b/d?port=1,2,3', '3 ports for 2 hosts'],
  ['postgresql://u:secret@db/d?sslmod=require', 'unknown parameter "sslmod"'],
  ['postgresql://u:secret@db/d?sslmode=yes', 'invalid sslmode "yes"'],
  ['postgresql://u:secret@db/d?target_session_attrs=master', 'invalid target_session_attrs'],
  ['postgresql://u:secret@db/d?connect_timeout=soon', 'invalid connect_timeout "soon"'],
  ['postgresql://u:secret%zz@db/d', 'invalid percent-encoded character'],
])('%s is refused, and no message has the password', (url, message) => {
  let thrown: unknown
  try {
    parse(url)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(PgarchError)
  const { failure, message: text, hint, cause } = thrown as PgarchError
  expect(failure).toBe('usage')
  expect(text).toContain(message)
  expect(`${text}${hint}${cause}`).not.toContain('secret')
})

describe('a domain whose records name the hosts', () => {
  const parseIn = (url: string, environment: Record<string, string> = {}) =>
    parseScheduleAddress(url, environment, 'me', 'example.com')

  test.each(['postgresql://', 'postgresql://agent@/pgarch', 'postgresql://agent@:6000/pgarch'])(
    'stands in where %s names none, before PGHOST',
    (url) => {
      const address = parseIn(url, { PGHOST: 'other', PGPORT: '6000' })
      expect(address).toMatchObject({ hosts: [], domain: 'example.com' })
    },
  )

  test.each(['postgresql://db/', 'postgresql:///pgarch?host=db', 'postgresql://db,/'])(
    'does not count where %s names one',
    (url) => {
      const { hosts, domain } = parseIn(url)
      expect(hosts[0]).toEqual({ host: 'db', port: 5432 })
      expect(domain).toBeUndefined()
    },
  )
})
