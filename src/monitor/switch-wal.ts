import { createHash } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { connectToOwnServer, endConnection } from '../postgres/own-server.ts'
import { ask } from '../postgres/production.ts'
import { parseLsn } from '../wal/lsn.ts'
import { segmentName } from '../wal/names.ts'

/**
 * Ends the segment that a primary writes to, also when nothing was written since the last one ended, and
 * resolves to its name: PostgreSQL is to archive it now. `refused` in recovery; `unusable` for a role
 * that may not.
 */
export async function switchWal(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
): Promise<string> {
  const { connection, state } = await connectToOwnServer(dataDirectory, pguser)
  try {
    if (state.inRecovery) {
      throw new PgarchError('refused', 'the server is in recovery, and only a primary writes WAL', {
        hint: "Run it on the cluster's primary.",
      })
    }
    const purpose = 'end a WAL segment'
    await ask(connection, purpose, "select pg_logical_emit_message(false, 'pgarch', 'check')")
    const [row] = await ask(
      connection,
      purpose,
      'select lsn::text, left(pg_walfile_name(lsn), 8) as timeline from pg_switch_wal() as lsn',
    )
    const end = parseLsn(String(row?.lsn))
    if (end === undefined) throw new Error(`pg_switch_wal ended at ${row?.lsn}`)
    // By ourselves: at a segment's very end versions name another one (xlogfuncs.c).
    const number = Number((end - 1n) / BigInt(state.walSegmentSize))
    return segmentName(Number.parseInt(String(row?.timeline), 16), number, state.walSegmentSize)
  } finally {
    await endConnection(connection)
  }
}

/**
 * sha256, in 64 lower-case hex digits, of a segment in pg_wal. Undefined when PostgreSQL has removed it, or
 * made it another one, as it may once it is archived: what was read may then have been of either.
 */
export async function digestOfEnded(
  dataDirectory: DataDirectory,
  walName: string,
): Promise<string | undefined> {
  const path = join(dataDirectory.path, 'pg_wal', walName)
  try {
    const file = await open(path)
    try {
      const hash = createHash('sha256')
      await pipeline(file.createReadStream({ autoClose: false }), hash)
      const [opened, named] = await Promise.all([file.stat(), stat(path)])
      return opened.ino === named.ino ? hash.digest('hex') : undefined
    } finally {
      await file.close()
    }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw fileError('read', path, thrown)
  }
}
