import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from 'esbuild'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from './support/folder.ts'
import { checkout } from './support/installation.ts'

let folder: string
let cache: string

beforeEach(() => {
  const own = temporaryFolder('start')
  onTestFinished(own.remove)
  folder = own.path
  cache = join(folder, '.cache', 'pgarch')
  const source = readFileSync(join(checkout, 'src', 'start.ts'), 'utf8')
  writeFileSync(join(folder, 'pgarch.cjs'), transformSync(source, { loader: 'ts' }).code)
})

/** Runs the program's first file with this in place of the program. */
function start(main: string, options: readonly string[] = [], home = folder) {
  writeFileSync(join(folder, 'main.cjs'), main)
  return spawnSync(process.execPath, [...options, join(folder, 'pgarch.cjs')], {
    encoding: 'utf8',
    env: { HOME: home },
  })
}

const printCache = "console.log(require('node:module').getCompileCacheDir() ?? 'none')"

test.for([
  ['does nothing', ''],
  ['never settles', 'new Promise(() => {}).then(() => process.exit(0))'],
])('a program that %s did not succeed', ([, main = '']) => {
  expect(start(main).status).toBe(1)
  expect(start('process.exit(0)').status).toBe(0)
})

test('an old Node.js is told in a line, and reported as a failure', () => {
  const pretend = join(folder, 'pretend.cjs')
  writeFileSync(
    pretend,
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })",
  )
  const { status, stdout, stderr } = start('console.log("ran")', ['--require', pretend])
  expect({ status, stdout }).toEqual({ status: 45, stdout: '' })
  expect(stderr).toMatch(/^pgarch: ERROR: {2}Node\.js .* is too old, .*\npgarch: HINT: .*\n$/)
})

test('compiled code is kept below the home directory, for the user alone', () => {
  expect(start(printCache).stdout).toContain(cache)
  expect(statSync(cache).mode & 0o777).toBe(0o700)
})

test('compiled code is not taken from where others can write', () => {
  mkdirSync(cache, { recursive: true })
  chmodSync(cache, 0o770)
  expect(start(printCache)).toMatchObject({ status: 1, stdout: 'none\n', stderr: '' })
})

test('without a home directory it starts all the same', () => {
  const file = join(folder, 'pgarch.cjs')
  expect(start(printCache, [], file)).toMatchObject({ status: 1, stdout: 'none\n', stderr: '' })
  expect(existsSync(cache)).toBe(false)
})
