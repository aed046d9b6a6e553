import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'vitest'
import { storedFile } from '../support/fleet.ts'
import { makeHistory } from '../support/wal.ts'
import { type Host, removeWal, segment, type Wal, writeWal } from './host.ts'
import type { Round } from './sweep.ts'

/** Everything below a folder that is no directory, by its whole name. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** What writers have not finished, below any of the folders. */
export function unfinished(...folders: string[]): string[] {
  return folders
    .flatMap(filesBelow)
    .filter((file) => file.endsWith('.pgarch-tmp') || file.endsWith('.tmp'))
}

/** Makes files look as if their writers had died yesterday. */
export function age(files: readonly string[]): void {
  const yesterday = Date.now() / 1000 - 86_400
  for (const file of files) utimesSync(file, yesterday, yesterday)
}

/** Read by zstd, as docs/stored-file.md promises, and not by pgarch. */
export function contentOf(file: string): Buffer {
  return execFileSync('zstd', ['-dcq', file], { maxBuffer: 2 ** 28 })
}

export function isStored(host: Host, root: string, wal: Wal): boolean {
  return existsSync(storedFile(root, host.fingerprint, wal.name))
}

/** Expects that the file lies on the path with the content that it has in pg_wal. */
export function expectStored(host: Host, root: string, wal: Wal): void {
  const file = storedFile(root, host.fingerprint, wal.name)
  expect(existsSync(file), `${wal.name} lies on the path`).toBe(true)
  expect(contentOf(file).equals(wal.content), `${wal.name} has its content`).toBe(true)
}

/** Expects that nothing has a final name there but these files, whole. */
export function expectWhole(host: Host, root: string, wals: readonly Wal[]): void {
  const names = wals.map(({ name }) => storedFile(root, host.fingerprint, name))
  for (const folder of new Set(names.map((name) => dirname(name)))) {
    for (const file of filesBelow(folder).filter((name) => !basename(name).startsWith('.'))) {
      const wal = wals[names.indexOf(file)]
      expect(wal, `${file} was pushed`).toBeDefined()
      if (wal !== undefined) expectStored(host, root, wal)
    }
  }
}

/** What the scheduling database knows of a file of the host's cluster. */
export async function known(host: Host, wal: Wal) {
  const [row] = await host.fleet.rows<{
    sha256: string | null
    /** Copies on paths, and in local archives. */
    copies: number
    local: number
    /** Successes in the log. */
    stored: number
  }>(
    `select (select encode(sha256, 'hex') from pgarch.arch_file f
             where f.db_id = d.id and f.wal_name = $2) as sha256,
            (select count(path_id)::int from pgarch.arch_copy c
             where c.db_id = d.id and c.wal_name = $2) as copies,
            (select count(member_id)::int from pgarch.arch_copy c
             where c.db_id = d.id and c.wal_name = $2) as local,
            (select count(*)::int from pgarch.arch_remote_log l
             where l.db_id = d.id and l.wal_name = $2 and l.status) as stored
     from pgarch.arch_db_info d where d.name = $1`,
    [host.name, wal.name],
  )
  if (row === undefined) throw new Error(`no cluster "${host.name}"`)
  return row
}

export function sha256Of({ content }: Wal): string {
  return createHash('sha256').update(content).digest('hex')
}

/** What a killed process left is young, and could be a living writer's; in a while it goes. */
export async function expectCleaned(host: Host, root: string, round: Round): Promise<void> {
  const left = unfinished(root, host.stateDirectory)
  if (left.length === 0) return
  age(left)
  // Who comes to a directory next removes it: these two files come to all that there are.
  const timeline = round.number.toString(16).toUpperCase().padStart(8, '0')
  const history = { name: `${timeline}.history`, content: makeHistory([[1, '0/3000000']]) }
  for (const next of [segment(host, round.number, 9), history]) {
    const pushed = await host.push(writeWal(host, next), { seed: round.seed('f') })
    expect(pushed).toMatchObject({ status: 0 })
    expectStored(host, root, next)
  }
  expect(unfinished(root, host.stateDirectory)).toEqual([])
}

/** Removes a round's files, so that a disk is enough for all rounds. */
export function forgetLog(host: Host, root: string, wal: Wal): void {
  const log = wal.name.slice(0, 16)
  rmSync(join(root, host.fingerprint, log), { recursive: true, force: true })
  for (const name of readdirSync(host.walDirectory).filter((one) => one.startsWith(log))) {
    removeWal(host, name)
  }
}
