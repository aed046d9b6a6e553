import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { ask, type Connection } from '../postgres/production.ts'

export interface ServerSettings {
  readonly archive_mode: string
  readonly archive_command: string
  readonly restore_command: string
}

/** What goes into postgresql.conf, for a launcher's absolute path. */
export function serverSettings(launcher: string): ServerSettings {
  const command = inShell(launcher)
  return {
    archive_mode: 'on',
    archive_command: `${command} push %p %f`,
    restore_command: `${command} fetch %f %p`,
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
    `select name, setting from pg_settings
     where name in ('archive_mode', 'archive_command', 'archive_library', 'restore_command')`,
  )
  const settingOf = (name: string) =>
    String(current.find((row) => row.name === name)?.setting ?? '')
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
    if (before === value || (name === 'archive_mode' && before === 'always')) continue
    if (!['', 'off', '(disabled)'].includes(before)) warnings.push(`${name} was "${before}" before`)
    await ask(connection, `set ${name}`, `alter system set ${name} = ${literal(value)}`)
  }
  await ask(connection, 'reload the settings', 'select pg_reload_conf()')
  if (settingOf('archive_mode') === 'off') {
    warnings.push('archive_mode takes effect at the next restart of the server')
  }
  return warnings
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
