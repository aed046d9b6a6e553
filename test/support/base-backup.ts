import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { ownByUnprivileged } from './folder.ts'
import type { Server } from './postgres.ts'
import { asUnprivileged } from './unprivileged.ts'

const execute = promisify(execFile)

/**
 * Copies a running server's data directory to `destination`, which must not exist. Without
 * `includeWal` it can start only with a restore_command. Uses pg_basebackup where the version has
 * it, else the low-level API of PostgreSQL 15 and later (manual, section 25.3.3).
 */
export async function baseBackup(
  server: Server,
  destination: string,
  { includeWal = false }: { includeWal?: boolean } = {},
): Promise<void> {
  const program = join(server.version.bin, 'pg_basebackup')
  if (!existsSync(program)) return lowLevelBackup(server, destination, includeWal)
  const wal = includeWal ? 'stream' : 'none'
  // It waits until its WAL is archived, in which this process may have a part.
  await execute(
    program,
    ['-h', server.socketDirectory, '-p', String(server.port), '-U', 'postgres'].concat(
      '-D',
      destination,
      '-X',
      wal,
      '--checkpoint=fast',
      '--no-sync',
    ),
    { cwd: server.folder, timeout: 180_000, ...asUnprivileged() },
  )
}

async function lowLevelBackup(server: Server, destination: string, includeWal: boolean) {
  const client = new Client({ connectionString: server.url() })
  await client.connect()
  try {
    await client.query("select pg_backup_start('test', true)")
    copyDataDirectory(server.dataDirectory, destination)
    const { rows } = await client.query('select labelfile from pg_backup_stop()')
    const label = join(destination, 'backup_label')
    writeFileSync(label, rows[0].labelfile)
    ownByUnprivileged(label)
  } finally {
    await client.end()
  }
  if (includeWal) copySegments(join(server.dataDirectory, 'pg_wal'), join(destination, 'pg_wal'))
}

function copyDataDirectory(from: string, to: string): void {
  const as = { cwd: '/', ...asUnprivileged() }
  const archive = `${to}.tar`
  const exclude = ['pg_wal/*', 'pg_replslot/*', 'postmaster.pid', 'postmaster.opts']
  const excluded = exclude.map((name) => `--exclude=./${name}`)
  // 1: a file changed or went away as it was read, which is what a base backup is about.
  const made = spawnSync('tar', ['-C', from, ...excluded, '-cf', archive, '.'], as)
  if (made.status !== 0 && made.status !== 1) throw new Error(`tar failed: ${made.stderr}`)
  execFileSync('mkdir', ['-m', '700', to], as)
  execFileSync('mkdir', ['-p', join(to, 'pg_wal/archive_status')], as)
  execFileSync('tar', ['-C', to, '-xpf', archive], as)
  execFileSync('rm', [archive], as)
}

function copySegments(from: string, to: string): void {
  for (const name of readdirSync(from).filter((name) => /^[0-9A-F]{24}$/.test(name))) {
    cpSync(join(from, name), join(to, name))
    ownByUnprivileged(join(to, name))
  }
}
