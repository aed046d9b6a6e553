import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../support/folder.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { type Bench, segment } from './launch.ts'

/** What postmaster.pid tells of a server's life. */
export interface LifeLines {
  readonly pid?: string
  readonly start?: string
  readonly key?: string
  readonly id?: string
}

/** As PostgreSQL writes it (miscutils.c, AddToDataDirLockFile: "%9lu %9lu"). */
export function postmasterPid(life: LifeLines = {}): string {
  const { pid, start, key, id } = { ...aLife, ...life }
  const shared = `${key.padStart(9)} ${id.padStart(9)}`
  return [pid, '/data', start, '5432', '/tmp', '*', shared, 'ready   ', ''].join('\n')
}

export function lifeName(life: LifeLines = {}): string {
  const { pid, start, key, id } = { ...aLife, ...life }
  return [pid, start, key, id].join('-')
}

const aLife = { pid: '4711', start: '1700000000', key: '5432001', id: '655360' }

/** A data directory with a server that seems to run, and its state directory; no worker. */
export interface Host {
  readonly dataDirectory: string
  /** PGARCH_STATE_DIR */
  readonly base: string
  readonly state: string
  /** Another life of the server. */
  restart(life: LifeLines): void
  /** What a worker tells of the segment, or of another file. */
  tell(what: 'pushed' | 'failed', content?: string, file?: string): void
  /**
   * A process that the launcher takes for the worker; it ends with the test run, too. Its pid lies in
   * worker.pid, or in another file of the state directory.
   */
  startWorker(pidFile?: string): Promise<ChildProcess>
  /** On which the launcher waits for the segment. */
  readonly bell: string
}

/** @param folder made by makeFolder */
export function makeHost(folder: string, name = 'data', base = join(folder, 'state')): Host {
  const dataDirectory = join(folder, name)
  const state = join(base, dataDirectory, '@pgarch')
  const write = (path: string, content: string) => {
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, content)
    own(folder)
  }
  mkdirSync(join(dataDirectory, 'pg_wal'), { recursive: true })
  mkdirSync(join(state, 'bell'), { recursive: true })
  write(join(dataDirectory, 'postmaster.pid'), postmasterPid())
  return {
    dataDirectory,
    base,
    state,
    bell: join(state, 'bell', segment),
    restart: (life) => write(join(dataDirectory, 'postmaster.pid'), postmasterPid(life)),
    tell: (what, content = '', file = segment) =>
      write(join(state, what, lifeName(), file), content),
    async startWorker(pidFile = 'worker.pid') {
      // It lives until its standard input ends.
      const worker = spawn('sh', ['-c', 'read -r _', '/pgarch/dist/pgarch.cjs', 'worker'], {
        stdio: ['pipe', 'ignore', 'ignore'],
        ...asUnprivileged(),
      })
      await once(worker, 'spawn')
      write(join(state, pidFile), `${worker.pid}\n`)
      return worker
    },
  }
}

export function own(path: string): void {
  const { uid, gid } = asUnprivileged()
  if (uid !== undefined) execFileSync('chown', ['-hR', `${uid}:${gid}`, path])
}

/** A program in a folder of its own, for PATH or PGARCH_NODE. */
export function makeProgram(folder: string, name: string, script: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

/** In place of Node.js a quick program, that says `node` and by default that the file is archived. */
export function makeNode(bench: Bench, then = 'exit 40'): string {
  bench.setProgram('never run')
  return makeProgram(makeFolder(bench.root, 'quick'), 'node', `echo node; ${then}`)
}
