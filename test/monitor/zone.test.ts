import { expect, test } from 'vitest'
import { zoneRecords } from '../../src/monitor/zone.ts'
import type { RecordedName } from '../../src/schedule/names.ts'

const domain = 'example.com'

function records(
  names: readonly [host: string, address: string | null][],
  services: readonly (readonly [string, number, number, number])[] = [],
): string[] {
  const lines = zoneRecords({
    domain,
    ttlSeconds: 300,
    names: names.map(([host, address]): RecordedName => {
      return { kind: 'path', id: '1', of: 'p', host, address }
    }),
    services: services.map(([host, port, priority, weight]) => {
      return { host, port, priority, weight }
    }),
  })
  expect(lines.shift()).toMatch(/^; /)
  return lines
}

test.each([
  ['an address', 'nas.example.com', '10.0.0.5', 'nas.example.com. 300 IN A 10.0.0.5'],
  ['an IPv6 address', 'nas.example.com', '2001:db8::5', 'nas.example.com. 300 IN AAAA 2001:db8::5'],
  ['a name without its domain', 'nas', '10.0.0.5', 'nas.example.com. 300 IN A 10.0.0.5'],
  ['capitals and a dot', 'NAS.Example.Com.', '10.0.0.5', 'nas.example.com. 300 IN A 10.0.0.5'],
  ['other letters', 'bücher', '10.0.0.5', 'xn--bcher-kva.example.com. 300 IN A 10.0.0.5'],
  ['the domain itself', 'example.com', '10.0.0.5', 'example.com. 300 IN A 10.0.0.5'],
  [
    'another domain',
    'nas.example.org',
    '10.0.0.5',
    '; path "p", "nas.example.org": it is not in example.com',
  ],
  [
    'an ending alone',
    'nas.anexample.com',
    '1.1.1.1',
    '; path "p", "nas.anexample.com": it is not in example.com',
  ],
  [
    'an underscore',
    'a_b.example.com',
    '10.0.0.5',
    '; path "p", "a_b.example.com": no host may have such a name: letters, digits and hyphens alone (RFC 952)',
  ],
  [
    'one in the middle, without its domain',
    'rack.b_.nas.example.com',
    '10.0.0.5',
    expect.stringMatching(/^; .*RFC 952/),
  ],
  ['hyphens and digits', '9-x--y', '10.0.0.5', '9-x--y.example.com. 300 IN A 10.0.0.5'],
  ['no address', 'nas', null, '; path "p", "nas": no address is recorded'],
  ['this host', 'localhost', '127.0.0.1', '; path "p", "localhost": every host is its own'],
  [
    'what would be read as more',
    'a\n@ IN NS evil',
    '10.0.0.5',
    '; path "p", "a @ IN NS evil": DNS can have no such name',
  ],
  ['a comment', 'a;b', '10.0.0.5', '; path "p", "a;b": DNS can have no such name'],
  ['a directive', '$INCLUDE', '10.0.0.5', '; path "p", "$INCLUDE": DNS can have no such name'],
])('%s', (_title, host, address, line) => {
  expect(records([[host, address]])).toEqual([line])
})

test('what is too long with its domain is left out', () => {
  const domain = `${'d'.repeat(60)}.`.repeat(3).concat('com')
  const name = {
    kind: 'path',
    id: '1',
    of: 'p',
    host: 'n'.repeat(60),
    address: '10.0.0.5',
  } as const
  expect(zoneRecords({ domain, ttlSeconds: 300, names: [name], services: [] })).toEqual([
    expect.stringMatching(/^; /),
    expect.stringMatching(/^; path "p", "n+": DNS can have no such name$/),
  ])
})

test('a name is there once; with several addresses, one of which must be old, it is left out', () => {
  expect(
    records([
      ['b', '10.0.0.6'],
      ['a', '10.0.0.5'],
      ['a.example.com', '10.0.0.5'],
      ['b', '10.0.0.7'],
    ]),
  ).toEqual([
    'a.example.com. 300 IN A 10.0.0.5',
    '; b.example.com: several addresses are recorded: 10.0.0.6, 10.0.0.7',
  ])
})

test('the scheduling database has a record for each server that has a name', () => {
  const services = [
    ['db1', 5432, 10, 0],
    ['db2.example.com', 5433, 20, 5],
    ['10.0.0.1', 5432, 30, 0],
    ['db.example.org', 5432, 40, 0],
    ['/run/postgresql', 5432, 50, 0],
    ['db_2', 5432, 60, 0],
  ] as const
  expect(records([], services)).toEqual([
    '_pgarch._tcp.example.com. 300 IN SRV 10 0 5432 db1.example.com.',
    '_pgarch._tcp.example.com. 300 IN SRV 20 5 5433 db2.example.com.',
    '; the scheduling database, "10.0.0.1": it is no name',
    '; the scheduling database, "db.example.org": it is not in example.com',
    '; the scheduling database, "/run/postgresql": DNS can have no such name',
    expect.stringMatching(/^; the scheduling database, "db_2": no host may have such a name/),
  ])
})
