import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())
bench.setProgram('process.exit(45)')

const strace = findProgram('strace')

describe.skipIf(strace === undefined).for(shells)('under %s', (shell) => {
  const folder = makeFolder(
    join(bench.dataDirectory, '..'),
    `state-${shell.length}-${Math.random()}`,
  )
  const trace = join(folder, 'trace')
  /** Status, and the system calls that make processes. */
  const push = () => {
    const traced = [strace ?? '', '-f', '-qq', '-e', 'trace=process', '-o', trace, ...shell]
    const words = ['push', `pg_wal/${segment}`, segment]
    const { status } = launch(bench, traced, words, { environment: { PGARCH_STATE_DIR: folder } })
    const calls = readFileSync(trace, 'utf8').matchAll(/ (execve|v?fork|clone3?)\(/g)
    return { status, calls: [...calls].map(([, call]) => call) }
  }

  test('a push that finds its marker makes no process, and one without it does', () => {
    const lines = [
      '4711',
      bench.dataDirectory,
      '1700000000',
      '5432',
      '/tmp',
      '',
      '  5432001    655360',
    ]
    const pidFile = join(bench.dataDirectory, 'postmaster.pid')
    writeFileSync(pidFile, `${lines.join('\n')}\nready   \n`)
    const state = join(folder, bench.dataDirectory, '@pgarch')
    const pushed = join(state, 'pushed', '4711-1700000000-5432001-655360')
    mkdirSync(pushed, { recursive: true })
    for (const path of [pidFile, state]) ownByUnprivileged(path)
    const without = push()
    expect(without.status).toBe(1)
    expect(without.calls.length).toBeGreaterThan(1)

    writeFileSync(join(pushed, segment), '')
    expect(push()).toEqual({ status: 0, calls: ['execve'] })
  })
})
