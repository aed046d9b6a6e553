import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { baseBackup } from './base-backup.ts'
import { type Server, serverVersions, startFrom, startServer } from './postgres.ts'

const identifier = async (server: Server) =>
  (await server.query('select system_identifier::text as id from pg_control_system()'))[0]?.id

describe.each(serverVersions())('PostgreSQL $major in tests', (version) => {
  test('two servers are two clusters, and survive stop and start', async () => {
    const first = await startServer({ version, walSegmentSizeMegabytes: 1 })
    const second = await startServer({ version })
    expect(await identifier(first)).not.toBe(await identifier(second))
    expect(await first.query('show wal_segment_size')).toEqual([{ wal_segment_size: '1MB' }])
    await first.stop('immediate')
    expect(first.isRunning).toBe(false)
    await first.start()
    expect(first.log()).toContain('database system was not properly shut down')
  })

  test('a base backup starts as a standby of the same cluster', async () => {
    const primary = await startServer({ version })
    const destination = join(primary.folder, 'backup')
    await baseBackup(primary, destination, { includeWal: true })
    const standby = await startFrom(destination, { version, signal: 'standby' })
    expect(await standby.query('select pg_is_in_recovery()')).toEqual([{ pg_is_in_recovery: true }])
    expect(await identifier(standby)).toBe(await identifier(primary))
  })
})
