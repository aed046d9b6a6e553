import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { makeFolder, ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { checkout } from '../support/installation.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

/** The shells that it must run under. */
export const shells: readonly (readonly string[])[] = [
  ['dash'],
  ['bash', '--posix'],
  ['busybox', 'sh'],
]

/** An archive, and a place for what is restored from it. */
export interface StandbyHost {
  readonly folder: string
  /** A copy of the script that everybody may run. */
  readonly program: string
  readonly archive: string
  /** %p */
  readonly destination: string
  /** A file in the archive; without content as a segment with such a name, whole. */
  put(name: string, content?: Buffer): void
  /** Starts it, in a process group of its own. */
  start(command: readonly string[], environment?: Record<string, string>): Started
  /**
   * The same to its end. Sleeping takes no time: `slept` is for how long it wanted to, and `meanwhile` is
   * run by a shell in each sleep, whose number is in $n.
   */
  run(command: readonly string[], meanwhile?: string): Promise<Ended & { slept: number[] }>
  remove(): Promise<void>
}

export interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
}

export const megabyte = 1024 ** 2

/** As a server of PostgreSQL 15 with that segment size names and begins it. */
export function segmentOf(name: string, size = megabyte): Buffer {
  const number = (from: number) => Number.parseInt(name.slice(from, from + 8), 16) || 0
  const segno = number(8) * (2 ** 32 / size) + number(16)
  return makeSegment({ segno, walSegmentSize: size, systemIdentifier: '7000000000000000001' })
}

export function makeStandbyHost(): StandbyHost {
  const { path: folder, remove } = temporaryFolder('pg-standby')
  const program = join(folder, 'pg_standby')
  copyFileSync(join(checkout, 'examples/pg_standby'), program)
  chmodSync(program, 0o755)
  const archive = makeFolder(folder, 'archive')
  const destination = join(makeFolder(folder, 'pg_wal'), 'RECOVERYXLOG')
  const slept = join(folder, 'slept')
  const quick = makeFolder(folder, 'bin')
  const fake = join(quick, 'sleep')
  writeFileSync(
    fake,
    `#!/bin/sh\necho "$1" >>'${slept}'\nn=$(wc -l <'${slept}')\neval "$MEANWHILE"\n`,
  )
  chmodSync(fake, 0o755)

  const host: StandbyHost = {
    folder,
    program,
    archive,
    destination,
    put(name, content = segmentOf(name)) {
      const file = join(archive, name)
      writeFileSync(file, content)
      ownByUnprivileged(file)
    },
    start([shell = '', ...words], environment = {}) {
      const process = spawn(shell, words, {
        cwd: folder,
        env: { PATH: '/usr/bin:/bin', ...environment },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        ...asUnprivileged(),
      })
      return { process, ended: end(process) }
    },
    async run(command, meanwhile = '') {
      writeFileSync(slept, '')
      ownByUnprivileged(slept)
      const environment = { PATH: `${quick}:/usr/bin:/bin`, MEANWHILE: meanwhile }
      const ended = await host.start(command, environment).ended
      const lines = readFileSync(slept, 'utf8').split('\n').filter(Boolean)
      return { ...ended, slept: lines.map(Number) }
    },
    remove,
  }
  return host
}

async function end(child: ChildProcess): Promise<Ended> {
  const closed = once(child, 'close')
  if (child.stdout === null || child.stderr === null) throw new Error('no pipes')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  await closed
  return { status: child.exitCode, signal: child.signalCode, stdout, stderr }
}

/** What was restored; undefined: nothing. */
export function restored({ destination }: StandbyHost): Buffer | undefined {
  return existsSync(destination) ? readFileSync(destination) : undefined
}

/** A folder in the host's, for what must not be written to. */
export function makeSubfolder({ folder }: StandbyHost, name: string): string {
  const path = join(folder, name)
  mkdirSync(path)
  return path
}
