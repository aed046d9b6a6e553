import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../test/support/folder.ts'
import { timeCalls } from './calls.ts'
import { lifeFolder } from './life-folder.ts'
import type { Pgarch } from './pgarch.ts'
import type { Server } from './servers.ts'

export interface MarkerTimes {
  /** Milliseconds a call. */
  readonly push: number
  readonly copy: number
}

const calls = { push: 100, copy: 10 }

/** What PostgreSQL waits for: a shell with a push that finds its marker, and one that copies 16 MB. */
export async function markerFound(
  pgarch: Pgarch,
  server: Server,
  folder: string,
  segment: string,
): Promise<MarkerTimes> {
  const marker = join(await lifeFolder(pgarch, server, 'pushed'), segment)
  writeFileSync(marker, '')
  const archive = makeFolder(folder, 'marker-copied')
  const path = `pg_wal/${segment}`
  try {
    const on = { directory: server.dataDirectory, environment: pgarch.environment }
    const push = timeCalls(calls.push, `${pgarch.launcher} push ${path} ${segment}`, on)
    const copyOnce = `test ! -f ${archive}/$n && cp ${path} ${archive}/$n`
    return { push, copy: timeCalls(calls.copy, copyOnce, on) }
  } finally {
    rmSync(marker)
    rmSync(archive, { recursive: true })
  }
}
