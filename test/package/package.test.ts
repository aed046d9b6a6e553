import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/folder.ts'
import { checkout, makeReadable } from '../support/installation.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

const { path: folder, remove } = temporaryFolder('package')
afterAll(remove)

const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'))
const tarball = join(folder, `pgarch-${version}.tgz`)
const prefix = join(folder, 'prefix')

beforeAll(() => {
  npm('pack', '--pack-destination', folder)
  npm('install', '--global', '--prefix', prefix, '--prefer-offline', tarball)
  makeReadable(folder)
})

function npm(...words: string[]): void {
  execFileSync('npm', [...words, '--loglevel=error'], { cwd: checkout, stdio: 'pipe' })
}

/** As a server does it: another user, nothing in the environment, whatever the working directory. */
function run(pgarch: string, words: readonly string[]) {
  const command = ['-i', `HOME=${folder}`, pgarch, ...words]
  return spawnSync('env', command, { ...asUnprivileged(), cwd: folder, encoding: 'utf8' })
}

test('the tarball holds what an installation needs, and nothing else', () => {
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
  const kept = files.map((file) => file.replace(/^package\//, '')).sort()
  const shipped = (part: string) =>
    readdirSync(join(checkout, part), { encoding: 'utf8', recursive: true })
      .map((file) => `${part}/${file}`)
      .filter((file) => statSync(join(checkout, file)).isFile())
  const topLevel = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
  const dist = ['THIRD-PARTY.txt', 'main.cjs', 'main.cjs.LEGAL.txt', 'pgarch.cjs']
  const expected = [
    ...topLevel,
    'bin/pgarch',
    ...dist.map((file) => `dist/${file}`),
    ...['docs', 'sql'].flatMap(shipped),
    ...shipped('examples').filter((file) => !file.startsWith('examples/quickstart/')),
  ]
  expect(kept).toEqual(expected.sort())
})

test('the installed copy runs with its own Node.js and nothing else', () => {
  const modules = join(prefix, 'lib', 'node_modules', 'pgarch', 'node_modules')
  const packages = readdirSync(modules).filter((name) => !name.startsWith('.'))
  expect(packages).toEqual([`node-linux-${process.arch}`])
  const { status, stdout, stderr } = run(join(prefix, 'bin', 'pgarch'), ['--version'])
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
})

test('a copy of the prefix runs at another place, on a host that has no npm', () => {
  const copied = join(folder, 'another place')
  cpSync(prefix, copied, { recursive: true, verbatimSymlinks: true })
  const { status, stdout } = run(join(copied, 'bin', 'pgarch'), ['--version'])
  expect({ status, stdout }).toEqual({ status: 0, stdout: `${version}\n` })
})

test.for([
  'push',
  'fetch',
  'init',
  'register',
  'path',
  'route',
  'cluster',
  'status',
  'check',
  'metrics',
  'log',
])('its `pgarch %s` loads', (command) => {
  const { stdout, stderr } = run(join(prefix, 'bin', 'pgarch'), [command, '--help'])
  expect(stdout).toContain(`Usage: pgarch ${command}`)
  expect(stderr).not.toContain('bug in pgarch')
})

test.for(['push', 'fetch'])('only "pgarch %s --help" succeeds without doing it', (command) => {
  const segment = '000000010000000000000007'
  const given = command === 'push' ? [`pg_wal/${segment}`, segment] : [segment, `pg_wal/${segment}`]
  const status = (...words: string[]) => run(join(prefix, 'bin', 'pgarch'), words).status
  expect(status(command, '--help')).toBe(0)
  for (const option of ['--help', '-h', '--version', '-V']) {
    expect(status(command, option, ...given)).not.toBe(0)
    expect(status(command, ...given, option)).not.toBe(0)
    expect(status(option, command, ...given)).not.toBe(0)
  }
  expect(status('help', command, ...given)).not.toBe(0)
})
