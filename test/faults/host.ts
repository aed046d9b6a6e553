import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { makeDataDirectory } from '../support/data-directory.ts'
import type { Finished, Fleet } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { asUnprivileged, unprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

/** Two frames when it is stored, so that a file can be half written. */
const walSegmentSize = 2 * 1024 * 1024
const segmentsPerLog = 2 ** 32 / walSegmentSize

/** A host with a data directory of which no server runs: pgarch is called as PostgreSQL would. */
export interface Host {
  readonly fleet: Fleet
  /** Its cluster's name. */
  readonly name: string
  readonly dataDirectory: string
  readonly walDirectory: string
  readonly stateDirectory: string
  readonly fingerprint: string
  /** Runs the launcher in the data directory. */
  run(words: readonly string[], options?: RunOptions): Promise<Finished>
  push(wal: Wal, options?: RunOptions): Promise<Finished>
  /** Removes %p as PostgreSQL does, and fetches into it. */
  fetch(wal: Wal, options?: RunOptions): Promise<Finished>
}

export interface RunOptions {
  /** Words that come before Node.js' own name, without spaces: for strace. */
  readonly before?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Words before the launcher, run as root: those that enter a network namespace. */
  readonly within?: readonly string[]
  /** 8 hex digits that the names which pgarch makes up begin with; unless told, new ones. */
  readonly seed?: string
}

/** A WAL file in pg_wal. */
export interface Wal {
  readonly name: string
  readonly content: Buffer
}

/** What `asUnprivileged` does, in words of a command line. */
const becomingUnprivileged = [
  'setpriv',
  `--reuid=${unprivileged.uid}`,
  `--regid=${unprivileged.gid}`,
  '--clear-groups',
]

let hosts = 0
let seeds = 0

/** Rounds of a sweep have seeds of their own, which begin with a letter. */
function nextSeed(): string {
  return String(++seeds).padStart(8, '0')
}

export async function makeHost(options: {
  fleet: Fleet
  environment?: Record<string, string>
}): Promise<Host> {
  const { fleet } = options
  const number = ++hosts
  const name = `made-${number}`
  const folder = makeFolder(fleet.folder, name)
  const systemIdentifier = String(7_239_458_234_598_230_000n + BigInt(number))
  const dataDirectory = makeDataDirectory(folder, systemIdentifier)
  const walDirectory = join(dataDirectory, 'pg_wal')
  mkdirSync(join(walDirectory, 'archive_status'))
  execFileSync('chown', ['-R', `${unprivileged.uid}:${unprivileged.gid}`, dataDirectory])
  const node = predictableNode(folder)
  const { pgarch } = installation()

  const host: Omit<Host, 'fingerprint'> = {
    fleet,
    name,
    dataDirectory,
    walDirectory,
    stateDirectory: join(fleet.environment.PGARCH_STATE_DIR ?? '', dataDirectory, '@pgarch'),
    async run(words, { before = [], environment = {}, within = [], seed = nextSeed() } = {}) {
      const enter = within.length === 0 ? [] : [...within, ...becomingUnprivileged]
      const [program = '', ...rest] = [...enter, pgarch, ...words]
      const child = spawn(program, rest, {
        cwd: dataDirectory,
        env: {
          ...fleet.environment,
          ...options.environment,
          // Without a home there is no compile cache, and no other file than ours is written.
          HOME: '/nonexistent',
          // One thread for all files: strace counts for each thread by itself.
          UV_THREADPOOL_SIZE: '1',
          PGARCH_NODE: node,
          PGARCH_TEST_BEFORE: before.join(' '),
          PGARCH_TEST_SEED: seed,
          ...environment,
        },
        // A session of its own, by which is known what is left of it.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(within.length === 0 ? asUnprivileged() : {}),
      })
      const closed = once(child, 'close')
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      await closed
      const left = processesOfSession(child.pid ?? 0)
      if (left.length > 0) throw new Error(`still running after ${words.join(' ')}: ${left}`)
      return { status: child.exitCode, stdout, stderr }
    },
    async push(wal, runOptions) {
      return await host.run(['push', `pg_wal/${wal.name}`, wal.name], runOptions)
    },
    async fetch({ name }, runOptions) {
      const target = targetOf(name)
      rmSync(join(dataDirectory, target), { force: true })
      return await host.run(['fetch', name, target], runOptions)
    },
  }
  // Registering finds out the segment size from a segment.
  writeWal(host, segment(host, 0, 1))
  await fleet.admin('register', '--name', name, '--pgdata', dataDirectory, '--offline')
  const member = JSON.parse(readFileSync(join(host.stateDirectory, 'member.json'), 'utf8'))
  return { ...host, fingerprint: member.fingerprint }
}

/** One whose cluster archives to this path, and has done so once. */
export async function makeArchivingHost(
  fleet: Fleet,
  path: string,
  environment: Record<string, string> = {},
): Promise<Host> {
  const host = await makeHost({ fleet, environment })
  await fleet.admin('route', 'set', host.name, path, '--priority', '1')
  const { status, stderr } = await host.push(writeWal(host, segment(host, 0, 1)))
  if (status !== 0) throw new Error(`could not push: ${stderr}`)
  return host
}

/** A segment of the host's cluster. Each log has a directory of its own on a path. */
export function segment(host: Pick<Host, 'dataDirectory'>, log: number, number: number): Wal {
  const control = readFileSync(join(host.dataDirectory, 'global/pg_control'))
  const segno = log * segmentsPerLog + number
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0')
  const systemIdentifier = control.readBigUInt64LE().toString()
  const content = makeSegment({ segno, walSegmentSize, systemIdentifier, fill: segno + 1 })
  return { name: `00000001${hex(log)}${hex(number)}`, content }
}

/** PostgreSQL's %p for a fetch. */
export function targetOf(walName: string): string {
  return walName.endsWith('.history') ? 'pg_wal/RECOVERYHISTORY' : 'pg_wal/RECOVERYXLOG'
}

/** Puts it into pg_wal, to be archived. */
export function writeWal({ walDirectory }: Pick<Host, 'walDirectory'>, wal: Wal): Wal {
  const ready = join('archive_status', `${wal.name}.ready`)
  for (const [name, content] of [
    [wal.name, wal.content],
    [ready, ''],
  ] as const) {
    writeFileSync(join(walDirectory, name), content)
    ownByUnprivileged(join(walDirectory, name))
  }
  return wal
}

/** As the server does with a file that is archived. */
export function removeWal({ walDirectory }: Host, name: string): void {
  rmSync(join(walDirectory, name))
  rmSync(join(walDirectory, 'archive_status', `${name}.ready`))
}

/** A Node.js that makes up names from PGARCH_TEST_SEED, for PGARCH_NODE. */
function predictableNode(folder: string): string {
  const preload = join(folder, 'predictable.cjs')
  copyFileSync(join(import.meta.dirname, 'predictable.cjs'), preload)
  chmodSync(preload, 0o644)
  const { root } = installation()
  const node = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  const wrapper = join(folder, 'node')
  writeFileSync(
    wrapper,
    `#!/bin/sh\nexec $PGARCH_TEST_BEFORE "${node}" --require "${preload}" "$@"\n`,
  )
  chmodSync(wrapper, 0o755)
  return wrapper
}

/** By /proc/PID/stat (proc(5)); what has ended and was not waited for does not count. */
function processesOfSession(session: number): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [state, , , of] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(of) === session && state !== 'Z'
    } catch {
      return false
    }
  })
}
