import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readLife } from '../src/postgres/life.ts'
import { ownByUnprivileged } from '../test/support/folder.ts'
import type { Pgarch } from './pgarch.ts'
import type { Server } from './servers.ts'

/** Where the launcher looks for what a worker did for the server as it runs now. */
export async function lifeFolder(
  pgarch: Pgarch,
  server: Server,
  kind: 'pushed' | 'prefetch',
): Promise<string> {
  const life = await readLife(server.dataDirectory)
  if (life === undefined) throw new Error('the server does not run')
  const base = pgarch.environment.PGARCH_STATE_DIR ?? ''
  const parent = join(base, server.dataDirectory, '@pgarch', kind)
  const folder = join(parent, life.name)
  for (const path of [parent, folder]) {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    ownByUnprivileged(path)
  }
  return folder
}
