import { copyFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ownByUnprivileged } from '../test/support/folder.ts'
import { timeCalls } from './calls.ts'
import { lifeFolder } from './life-folder.ts'
import type { Pgarch } from './pgarch.ts'
import { run, type Server } from './servers.ts'

export interface PrefetchedTimes {
  /** Milliseconds a call. */
  readonly fetch: number
  readonly copy: number
}

const calls = 20
/** What PostgreSQL removes before each call is moved out of the way after it. */
const placed = 'pg_wal/RECOVERYXLOG'

/** What recovery waits for: a shell with a fetch that finds its segment, and one that copies 16 MB. */
export async function prefetchedFound(
  pgarch: Pgarch,
  server: Server,
  segment: string,
): Promise<PrefetchedTimes> {
  const folder = await lifeFolder(pgarch, server, 'prefetch')
  const source = join(server.dataDirectory, 'pg_wal', segment)
  const on = {
    directory: server.dataDirectory,
    environment: pgarch.environment,
    between: `rm ${placed}`,
  }
  try {
    for (let n = 10; n < calls + 10; n++) {
      const file = join(folder, segmentNumbered(String(n)))
      copyFileSync(source, file)
      ownByUnprivileged(file)
    }
    run('sync', [])
    const command = `${pgarch.launcher} fetch ${segmentNumbered('$n')} ${placed}`
    const fetch = timeCalls(calls, command, on)
    if (readdirSync(folder).length > 0) throw new Error('a fetch left its segment lying')
    return { fetch, copy: timeCalls(calls, `cp ${source} ${placed}`, on) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @param digits two */
function segmentNumbered(digits: string): string {
  return `0000000F000000FF000000${digits}`
}
