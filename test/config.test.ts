import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig, settings } from '../src/config.ts'
import { boolean, domain, duration, integer, path, servers } from '../src/settings.ts'
import { temporaryFolder } from './support/folder.ts'

const folder = temporaryFolder('config')
afterAll(folder.remove)

function file(content: string): string {
  const name = join(folder.path, 'pgarch.toml')
  writeFileSync(name, content)
  return name
}

describe('rank of sources', () => {
  const toml = '[schedule]\nurl = "postgresql://file/"\ntimeout = "7s"'

  it.each([
    ['a flag beats all', { schedule: 'postgresql://flag/' }, 'postgresql://flag/'],
    ['the environment beats the file', {}, 'postgresql://environment/'],
  ])('%s', async (_title, flags, url) => {
    const environment = {
      PGARCH_CONFIG: file(toml),
      PGARCH_SCHEDULE_URL: 'postgresql://environment/',
    }
    expect((await loadConfig(flags, environment)).scheduleUrl).toBe(url)
  })

  it('the file beats the defaults', async () => {
    const config = await loadConfig({ config: file(toml) }, {})
    expect(config).toMatchObject({ scheduleUrl: 'postgresql://file/', scheduleTimeout: 7000 })
  })

  it('defaults hold when nobody says anything, and an empty variable says nothing', async () => {
    expect(await loadConfig({ config: file('') }, { PGARCH_SCHEDULE_URL: '' })).toMatchObject({
      scheduleUrl: undefined,
      scheduleTimeout: 3000,
      fetchPatience: 600_000,
      stateDirectory: '/var/lib/pgarch',
      member: undefined,
    })
  })
})

const uuid = '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
const local = `[[path]]\nname = "a"\nroot = "/a"\nuuid = "${uuid}"`
const hostKey = 'ssh-ed25519 AAAAC3Nz'

it('declared paths are what the scheduling database would say of them', async () => {
  const second = uuid.replace('0c', '1c')
  const remote = `${local.replaceAll('"a"', '"b"').replace(uuid, second)}\nssh = "me@host:2222"`
  const toml = `${local}\n${remote}\nhost_key = "${hostKey} comment"\n[fetch]\npaths_complete = true`
  const { declaredPaths, pathsComplete } = await loadConfig({ config: file(toml) }, {})
  const same = { rootPath: '/a', reserveBytes: 0 }
  const noSsh = { sshHost: null, sshPort: null, sshUser: null, hostKey: null }
  const ssh = { sshHost: 'host', sshPort: 2222, sshUser: 'me', hostKey }
  expect(declaredPaths).toEqual([
    { ...same, ...noSsh, id: -1, uuid, name: 'a', kind: 'local' },
    { ...same, ...ssh, id: -2, uuid: second, name: 'b', kind: 'sftp' },
  ])
  expect(pathsComplete).toBe(true)
})

describe('mistakes are refused by name', () => {
  it.each([
    ['[schedule]\nurll = "x"', 'unrecognized setting "schedule.urll"'],
    ['colour = "red"', 'unrecognized setting "colour"'],
    ['[fetch]\npatience = 10', 'fetch.patience in'],
    ['[transfer]\ncompression_level = 20', 'transfer.compression_level in'],
    ['[fetch]\npaths_complete = 1', 'fetch.paths_complete in'],
    ['[schedule', 'could not read configuration file'],
    ['[path]\nname = "a"', 'expected [[path]]'],
    [`[[path]]\nname = "a"\nroot = "/a"`, 'path "a": uuid: expected a text'],
    [
      `[[path]]\nname = "a"\nroot = "a"\nuuid = "${uuid}"`,
      'path "a": root: "a" is not an absolute',
    ],
    [`[[path]]\nname = "a"\nroot = "/a"\nuuid = "x"`, 'path "a": uuid: "x" is not a uuid'],
    [`[[path]]\nroot = "/a"\nuuid = "${uuid}"`, 'path 1: name: expected a text'],
    [`${local}\ncolour = "red"`, 'path "a": unrecognized "colour"'],
    [`${local}\nhost_key = "${hostKey}"`, 'path "a": host_key without ssh'],
    [`${local}\nssh = "me@host"`, 'path "a": host_key: expected a text'],
    [`${local}\nssh = "host"\nhost_key = "${hostKey}"`, '"host" is not an SSH address'],
    [`${local}\nssh = "me@host"\nhost_key = "SHA256:abc"`, 'expected the whole key'],
    [`${local}\n${local}`, 'path "a" is declared twice'],
  ])('%j', async (content, message) => {
    await expect(loadConfig({ config: file(content) }, {})).rejects.toMatchObject({
      failure: 'usage',
      message: expect.stringContaining(message),
    })
  })

  it.each(['localhost:5432:*:postgres:s3cret', '[schedule]\nurl = "postgresql://a:s3cret@b'])(
    'a file that is no TOML is not shown, as there may be a password in it: %j',
    async (content) => {
      const refused = await loadConfig({ config: file(content) }, {}).catch((error) => error)
      expect(refused).toMatchObject({ failure: 'usage' })
      expect(refused.message).toMatch(/: Invalid TOML document: .+, at line \d+, column \d+$/)
      expect(`${refused.message}${refused.hint}`).not.toContain('s3cret')
    },
  )

  it('a file that was asked for and is not there', async () => {
    await expect(loadConfig({ config: '/nonexistent/pgarch.toml' }, {})).rejects.toMatchObject({
      failure: 'usage',
    })
  })

  it('a bad environment variable', async () => {
    await expect(
      loadConfig({ config: file('') }, { PGARCH_FETCH_PATIENCE: 'long' }),
    ).rejects.toThrow('PGARCH_FETCH_PATIENCE: "long" is not a time')
  })
})

it.each([
  ['150ms', 150],
  ['10 s', 10_000],
  ['1.5min', 90_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
])('the time %s is %i milliseconds', (text, milliseconds) => {
  expect(duration(text)).toBe(milliseconds)
})

it.each(['10', '', '-1s', 's', '1 week', 10])('%j is not a time', (text) => {
  expect(() => duration(text)).toThrow('is not a time')
})

it('a time that is longer than a timer can run is refused', () => {
  expect(duration('2147483647ms')).toBe(2_147_483_647)
  for (const long of ['2147483648ms', '25d', '30d']) {
    expect(() => duration(long)).toThrow(`"${long}" is too long a time: at most 24d`)
  }
})

it('whole numbers, truth and absolute paths are told from others', () => {
  expect(integer(1, 19)('19')).toBe(19)
  for (const wrong of ['0', '20', '1.5', 'x', true]) {
    expect(() => integer(1, 19)(wrong)).toThrow('whole number from 1 to 19')
  }
  expect([true, 'false'].map(boolean)).toEqual([true, false])
  expect(() => boolean('yes')).toThrow('neither true nor false')
  expect(path('/etc/key')).toBe('/etc/key')
  expect(() => path('key')).toThrow('not an absolute path')
})

it.each([
  ['Example.COM.', 'example.com'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['corp', 'corp'],
])('the domain %j is asked for as %s', (text, name) => {
  expect(domain(text)).toBe(name)
})

it.each(['.', 'a..b', 'a b', 'a/b', 'ü/b', '-a.example', '10.0.0.1', `${'a'.repeat(64)}.example`])(
  '%j is not a domain',
  (text) => {
    expect(() => domain(text)).toThrow(/is not a DNS domain|expected a text/)
  },
)

it.each([
  ['10.0.0.53', ['10.0.0.53']],
  ['10.0.0.53, 10.0.0.54:5353', ['10.0.0.53', '10.0.0.54:5353']],
  [
    ['::1', '[::1]:5353'],
    ['::1', '[::1]:5353'],
  ],
])('the DNS servers %j', (value, list) => {
  expect(servers(value)).toEqual(list)
})

it.each([
  '',
  'dns.example.com',
  '10.0.0.53:0',
  '10.0.0.53:70000',
  '10.0.0.53,',
  '[::1',
  '[10.0.0.53]',
])('%j is no list of DNS servers', (value) => {
  expect(() => servers(value)).toThrow(/is not the address of a DNS server|expected a text/)
})

describe('docs/configuration.md', () => {
  const page = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8')

  it.each(Object.values(settings).map(({ key, variable, fallback }) => [key, variable, fallback]))(
    'lists %s with its variable',
    (key, variable) => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${key}\` `))
      expect(row).toContain(`\`${variable}\``)
    },
  )

  it('lists no setting that is not there', () => {
    const listed = [...page.matchAll(/^\| `([a-z_.]+)` +\|/gm)].map(([, key]) => key)
    expect(listed.sort()).toEqual(
      Object.values(settings)
        .map(({ key }) => key)
        .sort(),
    )
  })
})
