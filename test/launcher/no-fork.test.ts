import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { type Host, makeHost, makeNode } from './host.ts'
import { launch, makeBench, segment, shells } from './launch.ts'

const bench = makeBench()
afterAll(() => bench.remove())
const node = makeNode(bench)

let folder: string
let host: Host
beforeEach(() => {
  folder = makeFolder(join(bench.dataDirectory, '..'), 'scratch')
  host = makeHost(folder)
})
afterEach(() => rmSync(folder, { recursive: true }))

const strace = findProgram('strace')

describe.skipIf(strace === undefined).for(shells)('under %s', (shell) => {
  /** Status, and the system calls that make processes. */
  function push(): { status: number | null; calls: (string | undefined)[] } {
    const trace = join(folder, 'trace')
    const traced = [strace ?? '', '-f', '-qq', '-e', 'trace=process', '-o', trace, ...shell]
    const words = ['push', `pg_wal/${segment}`, segment]
    const environment = { PGARCH_STATE_DIR: host.base, PGARCH_NODE: node }
    const { status } = launch(bench, traced, words, { environment, cwd: host.dataDirectory })
    const calls = readFileSync(trace, 'utf8').matchAll(/ (execve|v?fork|clone3?)\(/g)
    return { status, calls: [...calls].map(([, call]) => call) }
  }

  test('a push that finds its marker makes no process, and one without it does', () => {
    expect(push().calls.length).toBeGreaterThan(1)
    host.tell('pushed')
    expect(push()).toEqual({ status: 0, calls: ['execve'] })
  })

  test('nor does one that finds a failure', async () => {
    const worker = await host.startWorker()
    try {
      host.tell('failed', 'pgarch: ERROR:  no space\n')
      expect(push()).toEqual({ status: 1, calls: ['execve'] })
    } finally {
      worker.kill()
    }
  })
})
