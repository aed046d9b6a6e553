import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkBackupHistory } from '../../src/wal/backup-history.ts'
import { formatLsn, parseLsn } from '../../src/wal/lsn.ts'
import { parseWalName, segmentName } from '../../src/wal/names.ts'
import { checkSegmentHeader } from '../../src/wal/page-header.ts'
import { parseTimelineHistory } from '../../src/wal/timeline-history.ts'
import { type Server, serverVersions, startFrom, startServer } from '../support/postgres.ts'

const walSegmentSize = 2 ** 20

/** Checks every file in pg_wal that would be archived by now, and returns the kinds that were there. */
async function checkAll(server: Server): Promise<Set<string>> {
  const [{ identifier, current } = {}] = await server.query<Record<string, string>>(
    `select system_identifier::text as identifier, pg_walfile_name(pg_current_wal_insert_lsn()) as current
       from pg_control_system()`,
  )
  const kinds = new Set<string>()
  for (const file of readdirSync(join(server.dataDirectory, 'pg_wal'))) {
    const name = parseWalName(file)
    // Segments after the current one are recycled ones, or allocated in advance.
    if (name === undefined || (name.kind === 'segment' && file.slice(8) > `${current}`.slice(8))) {
      continue
    }
    const content = readFileSync(join(server.dataDirectory, 'pg_wal', file))
    if (name.kind === 'history') parseTimelineHistory(content.toString(), name.timeline)
    else if (name.kind === 'backup') checkBackupHistory(content.toString(), name)
    else {
      const size = content.length
      checkSegmentHeader(content, { name, size, walSegmentSize, systemIdentifier: `${identifier}` })
    }
    kinds.add(name.kind)
  }
  return kinds
}

describe.each(serverVersions())('PostgreSQL $major', (version) => {
  test('what a server writes, on its first timeline and after a promotion, passes', async () => {
    const archiving = { archive_mode: 'on', archive_command: 'false', wal_keep_size: '64MB' }
    const options = { version, settings: archiving }
    const primary = await startServer({ ...options, walSegmentSizeMegabytes: 1 })
    const backup =
      version.major < 15
        ? "pg_start_backup('label', true, false); select pg_stop_backup(false, false)"
        : "pg_backup_start('label', true); select pg_backup_stop(false)"
    await primary.query(
      `create table t as select generate_series(1, 50000);
       select pg_switch_wal();
       select ${backup}`,
    )
    expect(await checkAll(primary)).toEqual(new Set(['segment', 'backup']))

    const [{ lsn, name } = {}] = await primary.query<Record<string, string>>(
      `select l as lsn, pg_walfile_name(l) as name from pg_current_wal_insert_lsn() as l`,
    )
    const position = parseLsn(`${lsn}`) ?? 0n
    expect(formatLsn(position)).toBe(lsn)
    expect(segmentName(1, Number(position / BigInt(walSegmentSize)), walSegmentSize)).toBe(name)

    await primary.stop('immediate')
    const promoted = await startFrom(primary.dataDirectory, {
      ...options,
      settings: { ...archiving, restore_command: 'false' },
      signal: 'recovery',
    })
    // It accepts connections, read-only ones, before it has found the end of WAL.
    await expect
      .poll(() => promoted.query('select pg_is_in_recovery() as still'), { timeout: 60_000 })
      .toEqual([{ still: false }])
    await promoted.query('create table u as select 1')
    expect(await checkAll(promoted)).toContain('history')
    expect(parseTimelineHistory(historyOf(promoted), 2)).toEqual([
      { timeline: 1, switchPoint: expect.any(BigInt) },
    ])
  })
})

function historyOf(server: Server): string {
  return readFileSync(join(server.dataDirectory, 'pg_wal/00000002.history'), 'utf8')
}
