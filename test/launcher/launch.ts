import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { installLauncher } from '../support/installation.ts'
import { findProgram } from '../support/parts.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

export const segment = '000000010000000000000007'

/** What /bin/sh is on the systems that PostgreSQL runs on, with its path: tests take PATH away. */
export const shells: readonly (readonly string[])[] = [
  ['dash'],
  ['bash', '--posix'],
  ['busybox', 'sh'],
].flatMap(([name = '', ...flags]) => {
  const program = findProgram(name)
  return program === undefined ? [] : [[program, ...flags]]
})

export interface Bench {
  readonly root: string
  readonly pgarch: string
  /** A data directory with pg_wal, without pg_wal/RECOVERYXLOG. */
  readonly dataDirectory: string
  /** What Node.js runs, in place of the program. */
  setProgram(source: string): void
  remove(): Promise<void>
}

/** An installation with the real launcher and the real Node.js, in a folder whose name has a space. */
export function makeBench(): Bench {
  const folder = temporaryFolder('launcher')
  const root = join(folder.path, 'an installation')
  const dataDirectory = join(folder.path, 'data')
  installLauncher(root)
  mkdirSync(join(root, 'dist'))
  mkdirSync(join(dataDirectory, 'pg_wal'), { recursive: true })
  for (const path of [dataDirectory, join(dataDirectory, 'pg_wal')]) ownByUnprivileged(path)
  return {
    root,
    pgarch: join(root, 'bin', 'pgarch'),
    dataDirectory,
    setProgram(source) {
      // As src/start.ts has it.
      writeFileSync(
        join(root, 'dist', 'pgarch.cjs'),
        "process.exitCode = 1; require('./main.cjs')\n",
      )
      writeFileSync(join(root, 'dist', 'main.cjs'), source)
    },
    remove: folder.remove,
  }
}

export interface Launched {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the launcher as PostgreSQL does: in the data directory, hardly any environment. */
export function launch(
  bench: Bench,
  shell: readonly string[],
  words: readonly string[],
  options: { environment?: Record<string, string>; cwd?: string; pgarch?: string } = {},
): Launched {
  const [program = 'sh', ...flags] = shell
  const { cwd = bench.dataDirectory, pgarch = bench.pgarch, environment = {} } = options
  return spawnSync(program, [...flags, pgarch, ...words], {
    ...asUnprivileged(),
    cwd,
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  })
}
