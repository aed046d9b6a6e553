import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import type { Schedule } from './connect.ts'
import { inTransaction } from './transaction.ts'

export interface Migration {
  /** From 1, without gaps. */
  readonly version: number
  readonly file: string
  /** Ends by adding its row to pgarch.schema_version. */
  readonly sql: string
}

/** The numbered files of the sql folder, `0001-tables.sql` and so on, in order. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((name) => /^\d{4}-.+\.sql$/.test(name)).sort()
  return Promise.all(
    files.map(async (file) => ({
      version: Number(file.slice(0, 4)),
      file,
      sql: await readFile(join(folder, file), 'utf8'),
    })),
  )
}

/**
 * Brings the schema to the newest version, in one transaction; `from` is 0 where there was none. A
 * second one at the same time waits and then finds nothing to do. For a schedule that was opened
 * for `init`. Rejects with `refused` when the schema is newer than all migrations.
 */
export async function migrate(
  schedule: Schedule,
  migrations: readonly Migration[],
): Promise<{ from: number; to: number }> {
  return await inTransaction(schedule, async () => {
    await schedule.query(
      "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgarch init', 0))",
    )
    const from = await installedVersion(schedule)
    const to = migrations.at(-1)?.version ?? 0
    if (from > to) {
      throw new PgarchError('refused', `schema version ${from} is newer than this pgarch`, {
        hint: 'Run "pgarch init" of the newest pgarch that uses this scheduling database.',
      })
    }
    for (const { sql } of migrations.slice(from)) await schedule.query(sql)
    return { from, to }
  })
}

async function installedVersion(schedule: Schedule): Promise<number> {
  const [found] = await schedule.query<{ exists: boolean }>(
    `select exists (select from pg_catalog.pg_class c
                    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'pgarch' and c.relname = 'schema_version')`,
  )
  if (found?.exists !== true) return 0
  const [row] = await schedule.query<{ version: number }>(
    'select pg_catalog.max(version) as version from pgarch.schema_version',
  )
  return row?.version ?? 0
}
