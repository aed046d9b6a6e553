import { PgarchError } from '../errors.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { readFingerprint } from '../postgres/fingerprint.ts'
import { connectToOwnServer, endConnection, type OwnServer } from '../postgres/own-server.ts'
import { ask } from '../postgres/production.ts'
import { isReady } from '../postgres/ready-files.ts'
import { isInRecovery } from '../postgres/recovery-role.ts'

/** What the production server itself says. */
export interface HostServer {
  readonly inRecovery: boolean
  /** uuid; undefined: it has none. */
  readonly fingerprint: string | undefined
  readonly archiveMode: string
  readonly archiveCommand: string
  readonly archiveLibrary: string
  /** The last file that archive_command failed for, if it still waits. */
  readonly failed: { readonly walName: string; readonly time: Date } | undefined
}

/**
 * 'in recovery' when it accepts no connections because of that. Otherwise rejects with `unreachable`
 * when it does not run, `unusable` when it refuses, `refused` when it is another server.
 */
export async function readHostServer(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
): Promise<HostServer | 'in recovery'> {
  const server = await connectToOwnServer(dataDirectory, pguser).catch(async (error: unknown) => {
    const isClosed = error instanceof PgarchError && error.failure === 'unreachable'
    if (isClosed && (await isInRecovery(dataDirectory.path))) return undefined
    throw error
  })
  if (server === undefined) return 'in recovery'
  try {
    return await readServer(dataDirectory, server)
  } finally {
    await endConnection(server.connection)
  }
}

async function readServer(
  dataDirectory: DataDirectory,
  { connection, state }: OwnServer,
): Promise<HostServer> {
  const stored = await readFingerprint(connection)
  const [row] = await ask(
    connection,
    'read the state of archiving',
    `select (select setting from pg_settings where name = 'archive_mode') as mode,
            (select setting from pg_settings where name = 'archive_command') as command,
            (select setting from pg_settings where name = 'archive_library') as library,
            last_failed_wal as wal_name, last_failed_time as time
     from pg_stat_archiver`,
  )
  const walName = row?.wal_name as string | null
  const isWaiting = walName !== null && (await isReady(dataDirectory.path, walName))
  return {
    inRecovery: state.inRecovery,
    fingerprint: stored?.fingerprint,
    archiveMode: String(row?.mode),
    archiveCommand: String(row?.command),
    archiveLibrary: String(row?.library ?? ''),
    failed: isWaiting ? { walName, time: row?.time as Date } : undefined,
  }
}
