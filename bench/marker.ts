import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readLife } from '../src/postgres/life.ts'
import { makeFolder, ownByUnprivileged } from '../test/support/folder.ts'
import { asUnprivileged } from '../test/support/unprivileged.ts'
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
  const life = await readLife(server.dataDirectory)
  if (life === undefined) throw new Error('the server does not run')
  const state = join(pgarch.environment.PGARCH_STATE_DIR ?? '', server.dataDirectory, '@pgarch')
  const marker = join(state, 'pushed', life.name, segment)
  for (const path of [join(state, 'pushed'), join(state, 'pushed', life.name)]) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    ownByUnprivileged(path)
  }
  writeFileSync(marker, '')
  const archive = makeFolder(folder, 'marker-copied')
  const path = `pg_wal/${segment}`
  try {
    const push = repeat(calls.push, `${pgarch.launcher} push ${path} ${segment}`)
    const copy = repeat(calls.copy, `test ! -f ${archive}/$n && cp ${path} ${archive}/$n`)
    return { push, copy }
  } finally {
    rmSync(marker)
    rmSync(archive, { recursive: true })
  }

  /** Milliseconds a call, each in a shell of its own, as PostgreSQL's. */
  function repeat(count: number, command: string): number {
    const loop = `n=0; while [ $n -lt ${count} ]; do n=$n /bin/sh -c '${command}' || exit; n=$((n + 1)); done`
    const start = performance.now()
    execFileSync('/bin/sh', ['-c', loop], {
      cwd: server.dataDirectory,
      env: { PATH: '/usr/bin:/bin', ...pgarch.environment },
      ...asUnprivileged(),
    })
    return (performance.now() - start) / count
  }
}
