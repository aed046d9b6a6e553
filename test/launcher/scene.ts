import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeEach, expect } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { type Host, makeHost, makeNode, makeProgram } from './host.ts'
import { type Launched, makeBench, segment } from './launch.ts'

export interface Surroundings {
  /** Before /usr/bin in PATH; its sleep is patient by default. */
  readonly path?: string
  readonly script?: string
  readonly before?: readonly string[]
  /** Of the launcher, instead of the scene's own. */
  readonly words?: readonly string[]
}

/** What launchers that wait for a worker are seen by, of the test that runs. */
export interface Scene {
  readonly folder: string
  readonly host: Host
  /** What stands in for Node.js, a script, from now on. */
  nodeDoes(script: string): void
  /** See `Host.startWorker`. */
  startWorker(pidFile?: string): Promise<ChildProcess>
  start(shell: readonly string[], surroundings?: Surroundings): Push
  /** Ends with the test. */
  started(child: ChildProcess): void
  /** Processes that have a bell open, the test's own not counted. */
  holders(): number[]
  /** Until one waits, and resolves to the pid of the sleep. */
  untilItWaits(): Promise<number>
  /** As src/worker/markers.ts does it. */
  ring(bell?: string): void
}

export interface Push {
  readonly pid: number
  readonly ended: Promise<Launched>
}

export const askedNode = { status: 0, stdout: 'node\n', stderr: '' }

/** For a test file's top level; `words` are the launcher's. */
export function setScene(own: readonly string[] = ['push', `pg_wal/${segment}`, segment]): Scene {
  const bench = makeBench()
  afterAll(() => bench.remove())
  const node = makeNode(bench)
  // What it waits for in these tests is never that the time is over.
  const patience = makeFolder(bench.root, 'patience')
  makeProgram(patience, 'sleep', 'exec /bin/sleep 20')

  let folder: string
  let host: Host
  const children: ChildProcess[] = []
  beforeEach(() => {
    folder = makeFolder(join(bench.dataDirectory, '..'), 'scratch')
    host = makeHost(folder)
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    for (const pid of holders()) process.kill(pid, 'SIGKILL')
    rmSync(folder, { recursive: true })
  })

  const holders = () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((name) => descriptorsOf(name).some((file) => file.startsWith(`${host.state}/`)))
      .map(Number)

  return {
    get folder() {
      return folder
    },
    get host() {
      return host
    },
    nodeDoes: (script) => void makeProgram(dirname(node), 'node', script),
    async startWorker(pidFile) {
      const worker = await host.startWorker(pidFile)
      children.push(worker)
      return worker
    },
    started(child) {
      children.push(child)
    },
    start(shell, { path = patience, script = 'exec "$@"', before = [], words = own } = {}) {
      const command = [...before, ...shell, bench.pgarch, ...words]
      const launcher = spawn('/bin/sh', ['-c', script, 'sh', ...command], {
        ...asUnprivileged(),
        cwd: host.dataDirectory,
        // As the archiver: a group that the postmaster signals.
        detached: true,
        env: { PGARCH_STATE_DIR: host.base, PGARCH_NODE: node, PATH: `${path}:/usr/bin:/bin` },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      children.push(launcher)
      const ended = async (): Promise<Launched> => {
        const [[status, signal], stdout, stderr] = await Promise.all([
          once(launcher, 'close'),
          text(launcher.stdout),
          text(launcher.stderr),
        ])
        return { status, signal, stdout, stderr }
      }
      return { pid: launcher.pid ?? Number.NaN, ended: ended() }
    },
    holders,
    async untilItWaits() {
      const sleeps = () => holders().filter((pid) => nameOf(pid) === 'sleep')
      await expect.poll(() => sleeps().length, { timeout: 20_000, interval: 20 }).toBe(1)
      return sleeps()[0] ?? Number.NaN
    },
    ring(bell = host.bell) {
      const fifo = openSync(bell, constants.O_WRONLY | constants.O_NONBLOCK)
      writeSync(fifo, '\n')
      closeSync(fifo)
    },
  }
}

/** What a process has open. */
export function descriptorsOf(pid: number | string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
  } catch {
    return [] // it has ended
  }
}

function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
}
