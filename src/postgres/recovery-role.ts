import { basename, join } from 'node:path'
import { isThere } from '../fs/there.ts'

/**
 * Who asks for a WAL file, which decides what an answer does (manual, section 27.2, and
 * xlogarchive.c): in archive recovery a missing segment ends recovery; a standby asks again; pg_rewind,
 * or a person, gives up.
 */
export type RecoveryRole = 'archive-recovery' | 'standby' | 'pg_rewind'

/**
 * @param request.walPath PostgreSQL's %p. Only the server itself asks for the two temporary names;
 *   pg_rewind asks for the segment's own.
 */
export async function recoveryRole(request: {
  readonly dataDirectory: string
  readonly walPath: string
}): Promise<RecoveryRole> {
  const name = basename(request.walPath)
  if (name !== 'RECOVERYXLOG' && name !== 'RECOVERYHISTORY') return 'pg_rewind'
  // With both signal files there, standby.signal counts.
  return (await isStandby(request.dataDirectory)) ? 'standby' : 'archive-recovery'
}

/** Whether a server in recovery waits for WAL by itself, and is promoted by pg_promote. */
export function isStandby(dataDirectory: string): Promise<boolean> {
  return hasSignal(dataDirectory, 'standby')
}

/** Whether the server reads from its archive: it removes the signal files when its recovery ends. */
export async function isInRecovery(dataDirectory: string): Promise<boolean> {
  return (await isStandby(dataDirectory)) || (await hasSignal(dataDirectory, 'recovery'))
}

async function hasSignal(dataDirectory: string, kind: 'standby' | 'recovery'): Promise<boolean> {
  return await isThere(join(dataDirectory, `${kind}.signal`))
}
