import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import type { ScheduleAddress } from './address.ts'

/**
 * The password for one host, asked for only when the server wants one: from the URL or PGPASSWORD,
 * else from the password file as libpq reads it (manual, section 34.16).
 */
export async function findPassword(
  address: ScheduleAddress,
  { host, port }: { host: string; port: number },
): Promise<string> {
  const password =
    address.password ??
    passwordFromFile(await readPasswordFile(address.passwordFile), {
      host: host.startsWith('/') && defaultSocketDirectories.includes(host) ? 'localhost' : host,
      port,
      database: address.database,
      user: address.user,
    })
  if (password === undefined) {
    throw new PgarchError('unusable', `no password supplied for user "${address.user}"`, {
      hint: 'Put it into ~/.pgpass (mode 0600) of the user that runs pgarch, or into PGPASSWORD.',
    })
  }
  return password
}

const defaultSocketDirectories = ['/tmp', '/var/run/postgresql', '/run/postgresql']

const field = String.raw`((?:\\.|[^:\\])*)`
const entry = new RegExp(`^${field}:${field}:${field}:${field}:(.*)$`)

/** The first line that fits wins; `*` fits everything, `\` takes the meaning of `:` and `\`. */
export function passwordFromFile(
  text: string,
  wanted: { host: string; port: number; database: string; user: string },
): string | undefined {
  const fields = [wanted.host, String(wanted.port), wanted.database, wanted.user]
  for (const line of text.split(/\r?\n/)) {
    const [, ...parts] = entry.exec(line) ?? []
    const password = parts.pop()
    const fits = parts.every((part, index) => part === '*' || removeEscapes(part) === fields[index])
    if (password && fits) return removeEscapes(password)
  }
  return undefined
}

function removeEscapes(text: string): string {
  return text.replaceAll(/\\(.)/g, '$1')
}

async function readPasswordFile(given: string | undefined): Promise<string> {
  const file = given ?? join(homedir(), '.pgpass')
  try {
    const { mode } = await stat(file)
    if ((mode & 0o077) === 0) return await readFile(file, 'utf8')
    log.warning(`password file "${file}" has group or world access, and is not used`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warning(`could not read password file "${file}"`)
    }
  }
  return ''
}
