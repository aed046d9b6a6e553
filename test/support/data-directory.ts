import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ownByUnprivileged } from './folder.ts'
import type { UserIds } from './unprivileged.ts'

/**
 * The few files by which pgarch knows a data directory, as `parent`/data, without a server's start.
 * `walDirectory`: pg_wal is a symbolic link to this sibling.
 */
export function makeDataDirectory(
  parent: string,
  systemIdentifier: string,
  { walDirectory }: { walDirectory?: string } = {},
): string {
  const path = join(parent, 'data')
  mkdirSync(join(path, 'global'), { recursive: true })
  writeFileSync(join(path, 'PG_VERSION'), '15\n')
  const control = Buffer.alloc(8192)
  control.writeBigUInt64LE(BigInt(systemIdentifier))
  writeFileSync(join(path, 'global/pg_control'), control)
  mkdirSync(join(parent, walDirectory ?? 'data/pg_wal'))
  if (walDirectory !== undefined) symlinkSync(join('..', walDirectory), join(path, 'pg_wal'))
  return path
}

/** Marks a file in pg_wal as PostgreSQL does once it is to be archived; returns the mark. */
export function markReady(dataDirectory: string, walName: string): string {
  const directory = join(dataDirectory, 'pg_wal/archive_status')
  if (!existsSync(directory)) {
    mkdirSync(directory)
    ownByUnprivileged(directory)
  }
  const mark = join(directory, `${walName}.ready`)
  writeFileSync(mark, '', { mode: 0o600 })
  ownByUnprivileged(mark)
  return mark
}

/** Runs `act` with the effective rights of that user, when the tests run as root. */
export async function withRightsOf(user: UserIds, act: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return act()
  const group = process.getegid?.() ?? 0
  process.setegid?.(user.gid)
  process.seteuid?.(user.uid)
  try {
    await act()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(group)
  }
}
