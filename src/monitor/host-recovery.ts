import type { DataDirectory } from '../postgres/data-directory.ts'
import { isInRecovery, isStandby } from '../postgres/recovery-role.ts'
import { readServerSetting } from '../postgres/server-setting.ts'
import type { Finding } from './finding.ts'

/** The last version in which a server never asks for a segment ahead. */
const lastWithoutPrefetch = 14

/**
 * Whether a recovery's waiting restore_command meets recovery_prefetch. A standby's waits for nothing,
 * as the server itself asks again.
 */
export async function checkRecovery(
  about: string,
  { path, majorVersion }: DataDirectory,
): Promise<Finding[]> {
  if (majorVersion <= lastWithoutPrefetch) return []
  if (!(await isInRecovery(path)) || (await isStandby(path))) return []
  const [command, prefetch] = await Promise.all(
    ['restore_command', 'recovery_prefetch'].map((name) => readServerSetting(path, name)),
  )
  return prefetchFindings(about, command, prefetch)
}

/** By the two settings of a server in archive recovery; undefined: not to be had. */
export function prefetchFindings(
  about: string,
  command: string | undefined,
  prefetch: string | undefined,
): Finding[] {
  if (command === undefined || prefetch === undefined) {
    return [{ severity: 'unknown', about, text: "the server's settings cannot be read" }]
  }
  if (prefetch === 'off' || !/\s--wait(\s|$)|pg_standby/.test(command)) return []
  return [
    {
      severity: 'warning',
      about,
      text: `recovery_prefetch is "${prefetch}" while restore_command waits: the last records before a missing segment are not replayed`,
      hint: 'Set recovery_prefetch = off on this server, and restart it. See docs/standby.md.',
    },
  ]
}
