import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../errors.ts'
import { ask, type Connection } from '../postgres/production.ts'

export interface ServerSettings {
  readonly wal_level: string
  readonly archive_mode: string
  readonly archive_command: string
  readonly archive_timeout: string
  readonly restore_command: string
}

/**
 * What goes into postgresql.conf, for a launcher's absolute path; restore_command names the cluster
 * where its system identifier does not tell it from another. wal_level stands first: with
 * archive_mode alone, where that is minimal, a server does not start again.
 */
export function serverSettings(launcher: string, fingerprint: string | undefined): ServerSettings {
  const command = inShell(launcher)
  return {
    wal_level: 'replica',
    archive_mode: 'on',
    archive_command: `${command} push %p %f`,
    archive_timeout: '60s',
    restore_command: `${command} fetch %f %p${fingerprint ? ` --cluster ${fingerprint}` : ''}`,
  }
}

/** Lines of postgresql.conf. */
export function settingLines(settings: ServerSettings): string[] {
  return Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
  )
}

/** PostgreSQL hands the command to sh, after it replaced what follows each %. */
function inShell(path: string): string {
  const escaped = path.replaceAll('%', '%%')
  return /^[\w./%+-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`
}

/**
 * Sets them in a running server with ALTER SYSTEM, and reloads it. Resolves to warnings: what was
 * replaced, and what still needs a restart. `refused` where somebody else keeps the server's settings.
 */
export async function applySettings(
  connection: Connection,
  dataDirectory: string,
  settings: ServerSettings,
): Promise<string[]> {
  await refuseUnderPatroni(dataDirectory)
  const current = await ask(
    connection,
    'read the settings',
    `select name, setting, context from pg_settings
     where name in ('wal_level', 'archive_mode', 'archive_command', 'archive_library',
                    'archive_timeout', 'restore_command')`,
  )
  const rowOf = (name: string) => current.find((row) => row.name === name)
  const settingOf = (name: string) => String(rowOf(name)?.setting ?? '')
  if (settingOf('archive_library') !== '') {
    throw new PgarchError(
      'refused',
      'archive_library is set, and takes the place of archive_command',
      {
        hint: 'Reset archive_library first.',
      },
    )
  }
  const warnings: string[] = []
  for (const [name, value] of Object.entries(settings)) {
    const before = settingOf(name)
    if (before === value || sufficesAlready(name, before)) continue
    if (!unset.includes(before)) warnings.push(`${name} was "${before}" before`)
    await ask(connection, `set ${name}`, `alter system set ${name} = ${literal(value)}`)
    if (rowOf(name)?.context === 'postmaster') {
      warnings.push(`${name} takes effect at the next restart of the server`)
    }
  }
  await reload(connection)
  return warnings
}

/** Resolves once the settings that can be are in effect for this connection, or after some seconds. */
async function reload(connection: Connection): Promise<void> {
  const loaded = async () => {
    const [row] = await ask(
      connection,
      'read the settings',
      'select pg_conf_load_time()::text as at',
    )
    return row?.at
  }
  const before = await loaded()
  await ask(connection, 'reload the settings', 'select pg_reload_conf()')
  for (let tries = 0; tries < 50 && (await loaded()) === before; tries++) await sleep(100)
}

/** Seconds; 0: off. */
export async function readArchiveTimeout(connection: Connection): Promise<number> {
  const sql = "select setting::int as seconds from pg_settings where name = 'archive_timeout'"
  const [row] = await ask(connection, 'read archive_timeout', sql)
  return Number(row?.seconds)
}

/** What pg_settings shows where nobody has set anything that could be missed. */
const unset: readonly string[] = ['', '0', 'off', 'minimal', '(disabled)']

/** Whether what is set serves as well, and was perhaps chosen with care. */
function sufficesAlready(name: string, setting: string): boolean {
  if (name === 'wal_level') return setting !== 'minimal'
  if (name === 'archive_mode') return setting === 'always'
  return name === 'archive_timeout' && setting !== '0'
}

/** ALTER SYSTEM takes no parameters. */
function literal(value: string): string {
  return `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

/** Patroni writes these into the data directory that it manages, and overwrites what others set. */
async function refuseUnderPatroni(dataDirectory: string): Promise<void> {
  for (const name of ['patroni.dynamic.json', 'postgresql.base.conf']) {
    const isThere = await stat(join(dataDirectory, name)).then(
      () => true,
      () => false,
    )
    if (isThere) {
      throw new PgarchError('refused', 'Patroni manages the settings of this server', {
        hint: 'Put the printed lines below postgresql: parameters: with "patronictl edit-config".',
      })
    }
  }
}
