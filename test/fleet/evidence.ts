import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import type { Fleet } from '../support/fleet.ts'
import type { ArchivePath, Cluster } from './clusters.ts'

/** A WAL file's content, by its own name and its cluster's fingerprint: `fingerprint name sha256`. */
export type Finished = string

/** And where it is stored, and in how many bytes: `path fingerprint name sha256 bytes`. */
export type Copy = string

/** Names of what the cluster finished, in order; by its own pg_wal, which keeps everything. */
export function finishedNames({ server }: Cluster): string[] {
  return readdirSync(join(walDirectory(server.dataDirectory), 'archive_status'))
    .filter((name) => name.endsWith('.done'))
    .map((name) => name.slice(0, -'.done'.length))
    .sort()
}

export function contentOf({ server }: Cluster, walName: string): Buffer {
  return readFileSync(join(walDirectory(server.dataDirectory), walName))
}

export function finishedBy(cluster: Cluster): Finished[] {
  return finishedNames(cluster).map(
    (name) => `${cluster.fingerprint} ${name} ${sha256(contentOf(cluster, name))}`,
  )
}

/** Which file it is a copy of. */
export function finishedOf(copy: Copy): Finished {
  return copy.split(' ').slice(1, 4).join(' ')
}

/** What the scheduling database says that all clusters archived. */
export async function claimedIn(fleet: Fleet): Promise<Finished[]> {
  const rows = await fleet.rows<{ file: Finished }>(
    `select concat_ws(' ', db_id, wal_name, encode(sha256, 'hex')) as file from pgarch.arch_file`,
  )
  return rows.map(({ file }) => file).sort()
}

/** And where, on paths. */
export async function recordedIn(fleet: Fleet): Promise<Copy[]> {
  const rows = await fleet.rows<{ copy: Copy }>(
    `select concat_ws(' ', p.name, c.db_id, c.wal_name, encode(f.sha256, 'hex'), c.stored_bytes) as copy
     from pgarch.arch_copy c
     join pgarch.arch_path_info p on p.id = c.path_id
     left join pgarch.arch_file f using (db_id, wal_name)`,
  )
  return rows.map(({ copy }) => copy).sort()
}

/** What lies on the paths, by their bytes alone. `others`: names that are not a stored file's. */
export function lyingOn(paths: readonly ArchivePath[]): { copies: Copy[]; others: string[] } {
  const copies: Copy[] = []
  const others: string[] = []
  for (const { name: path, root } of paths) {
    for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) continue
      const file = join(entry.parentPath, entry.name)
      const parts = /^([0-9a-f-]{36})\/([0-9A-F]{16})\/(\2[0-9A-F]{8}.*)\.zst$/
      const found = parts.exec(file.slice(root.length + 1))
      if (found === null) {
        others.push(entry.name)
      } else {
        const [, fingerprint, , walName] = found
        const stored = readFileSync(file)
        const digest = sha256(zstdDecompressSync(stored))
        copies.push([path, fingerprint, walName, digest, stored.length].join(' '))
      }
    }
  }
  return { copies: copies.sort(), others }
}

function walDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'pg_wal')
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
