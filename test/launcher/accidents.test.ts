import { cpSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Bench, launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())

const node = join(bench.root, 'node_modules')
const program = join(bench.root, 'dist', 'main.cjs')
const start = join(bench.root, 'dist', 'pgarch.cjs')
const nowhere = { PGARCH_NODE: join(bench.root, 'no-node') }

interface Accident {
  readonly title: string
  readonly cause: (bench: Bench) => void
  readonly environment?: Record<string, string>
  readonly says: RegExp
  /** Its status could be an answer to a person; test/start.test.ts has what stands against that. */
  readonly onlyUnderPostgres?: true
}

const accidents: readonly Accident[] = [
  { title: 'the bundle is missing', cause: () => rmSync(program), says: /not complete/ },
  { title: 'the bundle is empty', cause: () => truncateSync(program), says: /not complete/ },
  { title: 'its first file is missing', cause: () => rmSync(start), says: /not complete/ },
  { title: 'its first file is empty', cause: () => truncateSync(start), says: /not complete/ },
  {
    title: 'the bundle does nothing',
    cause: () => writeFileSync(program, '// cut off here'),
    says: /status 1 and without an answer/,
    onlyUnderPostgres: true,
  },
  {
    title: 'the bundle throws at load',
    cause: ({ setProgram }) => setProgram("throw new Error('broken at load')"),
    says: /broken at load/,
  },
  {
    title: 'the bundle does not parse',
    cause: ({ setProgram }) => setProgram('const half = {'),
    says: /SyntaxError/,
  },
  {
    title: 'the bundle never settles',
    cause: ({ setProgram }) => setProgram('new Promise(() => {}).then(() => process.exit(40))'),
    says: /without an answer/,
    onlyUnderPostgres: true,
  },
  {
    title: 'Node.js exits with 0',
    cause: ({ setProgram }) => setProgram('process.exit(0)'),
    says: /without an answer/,
    onlyUnderPostgres: true,
  },
  ...[9, 15].map((signal) => ({
    title: `Node.js is killed by signal ${signal}`,
    cause: ({ setProgram }: Bench) => setProgram(`process.kill(process.pid, ${signal})`),
    says: new RegExp(`status ${128 + signal} and without an answer`),
  })),
  {
    title: 'the given Node.js is missing',
    cause: () => {},
    environment: nowhere,
    says: /found no Node\.js/,
  },
  {
    title: 'no Node.js came with the installation and none is on PATH',
    cause: () => rmSync(node, { recursive: true }),
    environment: { PATH: '/nonexistent' },
    says: /found no Node\.js/,
  },
  {
    title: 'Node.js cannot be executed',
    cause: () => {
      mkdirSync(join(bench.root, 'not'), { recursive: true })
      writeFileSync(join(bench.root, 'not', 'node'), '\x7fELF of another machine', { mode: 0o755 })
    },
    environment: { PGARCH_NODE: join(bench.root, 'not', 'node') },
    says: /without an answer/,
  },
]

const calls = [
  { title: 'push', words: ['push', `pg_wal/${segment}`, segment], status: 1 },
  { title: 'fetch in recovery', words: ['fetch', segment, 'pg_wal/RECOVERYXLOG'], status: 200 },
  { title: 'fetch on a standby', words: ['fetch', segment, 'pg_wal/RECOVERYXLOG'], status: 75 },
  { title: 'check', words: ['check'], status: 3 },
  { title: 'check behind an option', words: ['--config', 'x', 'check', '-w', '5'], status: 3 },
  { title: 'another command', words: ['status'], status: 1 },
]

const standbySignal = join(bench.dataDirectory, 'standby.signal')
const kept = `${bench.root}.kept`
cpSync(node, kept, { recursive: true })

beforeEach(() => bench.setProgram('process.exit(40)'))
afterEach(() => {
  rmSync(standbySignal, { force: true })
  cpSync(kept, node, { recursive: true, force: false })
})

describe.for(shells)('an accident is never an answer, under %s', (shell) => {
  for (const { title, cause, environment = {}, says, onlyUnderPostgres } of accidents) {
    const exposed = calls.filter(({ words }) => words[0] !== 'status' || !onlyUnderPostgres)
    test.for(exposed)(`${title}: $title exits $status`, ({ title: call, words, status }) => {
      cause(bench)
      if (call === 'fetch on a standby') writeFileSync(standbySignal, '')
      const launched = launch(bench, [...shell], words, { environment })
      expect(launched).toMatchObject({ status, signal: null })
      expect(launched.stderr).toMatch(says)
      const isCheck = words.includes('check')
      expect(launched.stdout).toMatch(isCheck ? /^PGARCH UNKNOWN: nothing was looked at: \S/ : /^$/)
    })
  }
})
