import { join } from 'node:path'
import { baseBackup } from './base-backup.ts'
import { type Fleet, waitFor } from './fleet.ts'
import { type Server, type ServerOptions, startFrom } from './postgres.ts'

/** Copies the server into the fleet's folder, as `name`, and returns the copy's data directory. */
export async function takeBackup(
  fleet: Fleet,
  server: Server,
  name: string,
  options: { includeWal?: boolean } = {},
): Promise<string> {
  const backup = join(fleet.folder, name)
  await baseBackup(server, backup, options)
  return backup
}

/** Starts a backup in archive recovery, or as a standby, with pgarch as its restore_command. */
export function startRestored(
  fleet: Fleet,
  backup: string,
  signal: 'recovery' | 'standby',
  { settings, environment, ...options }: ServerOptions = {},
): Promise<Server> {
  return startFrom(backup, {
    signal,
    ...options,
    environment: { ...fleet.environment, ...environment },
    settings: {
      ...fleet.restoreSettings,
      archive_mode: 'off',
      wal_retrieve_retry_interval: '300ms',
      ...settings,
    },
  })
}

/** Where a standby streams from. */
export function streamingFrom(primary: Server): string {
  return `host=${primary.socketDirectory} port=${primary.port} user=postgres`
}

/** Asks a standby to become a primary; resolves when it is one. */
export async function promote(standby: Server): Promise<void> {
  await standby.query('select pg_promote(wait => false)')
  await untilPrimary(standby)
}

export async function untilPrimary(server: Server): Promise<void> {
  await waitFor('it is a primary', async () => !(await isInRecovery(server)))
}

export async function isInRecovery(server: Server): Promise<boolean> {
  const [row] = await server.query<{ recovering: boolean }>(
    'select pg_is_in_recovery() as recovering',
  )
  return row?.recovering !== false
}

/** The number of rows of a table that the primary filled. */
export async function countOf(server: Server, table: string): Promise<number> {
  const [row] = await server.query<{ count: number }>(`select count(*)::int as count from ${table}`)
  return row?.count ?? -1
}

/** The timeline that the server writes on, or that it restores from. */
export async function timelineOf(server: Server): Promise<number> {
  const [row] = await server.query<{ timeline: number }>(
    `select coalesce(case when not pg_is_in_recovery()
       then ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end,
       (select timeline_id from pg_control_checkpoint())) as timeline`,
  )
  return row?.timeline ?? 0
}
