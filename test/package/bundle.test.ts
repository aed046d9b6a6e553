import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/folder.ts'
import { checkout, installation } from '../support/installation.ts'

const read = (file: string) => readFileSync(join(installation().root, 'dist', file), 'utf8')

test('no path of the machine that built it is in the bundle', () => {
  expect(read('main.cjs')).not.toContain(checkout)
})

test('nothing is loaded from outside, but what ssh2 and pg do without', () => {
  const required = [...read('main.cjs').matchAll(/\b(?:require|import)\("([^"]+)"\)/g)].map(
    ([, name = '']) => name,
  )
  const outside = new Set(required.filter((name) => !isBuiltin(name)))
  expect([...outside].sort()).toEqual([
    './crypto/build/Release/sshcrypto.node',
    'cpu-features',
    'pg-native',
  ])
})

test('the licence of every bundled package comes along', () => {
  const bundled = new Set(
    [...read('main.cjs').matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/\n]+)\//gm)].map(
      ([, name]) => name,
    ),
  )
  const notices = read('THIRD-PARTY.txt')
  expect([...bundled]).toEqual(expect.arrayContaining(['commander', 'pg', 'ssh2']))
  for (const name of bundled) expect(notices).toContain(`\n${name} `)
})

test('a push that is refused has not paid for loading pg and ssh2', () => {
  const folder = temporaryFolder('bundle')
  onTestFinished(folder.remove)
  // What a bundled package brings with it into the process: Node.js' own modules.
  const report = join(folder.path, 'report.cjs')
  writeFileSync(
    report,
    // A process that hands over to a shell, as one with reads on their way does, tells nothing.
    "process.execve = undefined\nprocess.on('exit', () => console.log(process.moduleLoadList.join('\\n')))\n",
  )
  const { stdout } = spawnSync(
    process.execPath,
    ['--require', report, join(installation().root, 'dist', 'pgarch.cjs'), 'push', 'p', 'f'],
    { cwd: folder.path, encoding: 'utf8', env: { HOME: folder.path } },
  )
  const loaded = stdout.split('\n')
  expect(loaded).toContain('NativeModule fs')
  for (const module of ['dns', 'tls', 'https']) {
    expect(loaded).not.toContain(`NativeModule ${module}`)
  }
})
