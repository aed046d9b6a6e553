import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())

const placed = join(bench.dataDirectory, 'pg_wal', 'RECOVERYXLOG')
const standbySignal = join(bench.dataDirectory, 'standby.signal')
afterEach(() => {
  for (const file of [placed, standbySignal]) rmSync(file, { force: true })
})

const push = ['push', `pg_wal/${segment}`, segment]
const fetch = ['fetch', segment, 'pg_wal/RECOVERYXLOG']

describe.for(shells)('what Node.js answers and PostgreSQL hears, under %s', (shell) => {
  const answer = (code: number, words: readonly string[], cwd = bench.dataDirectory) => {
    bench.setProgram(`process.exit(${code})`)
    return launch(bench, [...shell], words, { cwd }).status
  }

  test.for([
    [40, 0],
    [44, 1],
    [45, 1],
    [46, 1],
    [1, 1],
    [64, 1],
    [200, 1],
    [255, 1],
  ] as const)('push: %i is %i', ([code, status]) => {
    expect(answer(code, push)).toBe(status)
    expect(answer(code, ['--config', '/etc/pgarch.toml', ...push])).toBe(status)
  })

  test.for([
    [40, 200, 75],
    [44, 1, 1],
    [45, 200, 75],
    [46, 200, 75],
    [64, 200, 75],
    [75, 200, 75],
    [143, 200, 75],
  ] as const)('fetch that left nothing: %i is %i, on a standby %i', ([code, recovery, standby]) => {
    expect(answer(code, fetch)).toBe(recovery)
    writeFileSync(standbySignal, '')
    expect(answer(code, fetch)).toBe(standby)
  })

  test('fetch that placed a file: 40 is 0, also when the file is empty', () => {
    writeFileSync(placed, '')
    expect(answer(40, fetch)).toBe(0)
    expect(answer(45, fetch)).toBe(200)
  })

  test.for([
    [50, 0],
    [51, 1],
    [52, 2],
    [53, 3],
    [0, 3],
    [1, 3],
    [2, 3],
    [3, 3],
    [5, 3],
    [40, 3],
    [49, 3],
    [54, 3],
    [64, 3],
    [137, 3],
    [150, 3],
  ] as const)('check: %i is %i', ([code, status]) => {
    expect(answer(code, ['check', '-w', '5'])).toBe(status)
    expect(answer(code, ['--schedule', 'x', 'check'])).toBe(status)
  })

  test('check looks for a state, and not for an end of recovery or a file that is archived', () => {
    expect(answer(40, ['check', '--config', 'push'])).toBe(3)
    expect(answer(50, ['push', 'pg_wal/check', 'check'])).toBe(1)
    expect(answer(50, ['check', 'pg_wal/RECOVERYXLOG'])).toBe(200)
  })

  test.for([0, 1, 2, 3, 64])('other commands: %i is passed on', (code) => {
    expect(answer(code, ['status'])).toBe(code)
    expect(answer(code, ['--config', 'push', 'dns', 'check'])).toBe(code)
    expect(answer(code, ['--schedule=x', '--config', 'check', 'cluster', 'show', 'fetch'])).toBe(
      code,
    )
  })

  test.for([4, 40, 44, 45, 46, 63, 137])('other commands: %i is 1', (code) => {
    expect(answer(code, ['status'])).toBe(1)
  })

  const lines = [
    ['fetch', '--cluster', 'c', segment, 'pg_wal/RECOVERYXLOG'],
    ['fetch', segment, 'pg_wal/RECOVERYXLOG', '--cluster', 'c'],
    ['fetch', '--cluster', '20240101', segment, 'pg_wal/RECOVERYXLOG', '--without', 'a'],
    ['fetch', '--cluster', 'orders-production-europe', segment, 'pg_wal/RECOVERYXLOG'],
    ['fetch', '00000002.history', 'pg_wal/RECOVERYXLOG', '--cluster', 'c'],
    ['fetch', `${segment}.partial`, 'pg_wal/RECOVERYXLOG'],
    ['--schedule', 'postgresql://fetch', 'fetch', segment, 'pg_wal/RECOVERYXLOG'],
    ['fetsh', segment, 'pg_wal/RECOVERYXLOG'],
  ]
  test.for(lines.map((words) => ({ words, line: words.join(' ') })))(
    '%p is found in: $line',
    ({ words }) => {
      expect(answer(40, words)).toBe(200)
      writeFileSync(placed, 'x')
      expect(answer(40, words)).toBe(0)
      expect(answer(64, words)).toBe(200)
    },
  )

  test('%p may be named like the segment itself', () => {
    const here = join(bench.dataDirectory, segment)
    onTestFinished(() => rmSync(here, { force: true }))
    expect(answer(40, ['fetch', segment, segment, '--cluster', 'c'])).toBe(200)
    writeFileSync(here, 'x')
    expect(answer(40, ['fetch', segment, segment, '--cluster', 'c'])).toBe(0)
  })

  test('fetch without %p never succeeds', () => {
    expect(answer(40, ['fetch', segment])).toBe(200)
    expect(answer(40, ['fetch', 'pg_wal/RECOVERYXLOG', segment])).toBe(200)
  })

  test.for(['data', './data', bench.dataDirectory])(
    "pg_rewind's target %s is where standby.signal is looked for",
    (target) => {
      const words = ['fetch', segment, `${target}/pg_wal/${segment}`]
      const cwd = join(bench.dataDirectory, '..')
      expect(answer(46, words, cwd)).toBe(200)
      writeFileSync(standbySignal, '')
      expect(answer(46, words, cwd)).toBe(75)
      mkdirSync(join(cwd, 'other', 'pg_wal'), { recursive: true })
      expect(answer(46, ['fetch', segment, `other/pg_wal/${segment}`], cwd)).toBe(200)
    },
  )
})
