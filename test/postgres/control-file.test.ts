import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readControlFile } from '../../src/postgres/control-file.ts'
import { formatLsn } from '../../src/wal/lsn.ts'
import { serverVersions, startServer } from '../support/postgres.ts'

it.each(serverVersions())('PostgreSQL $major: as the server itself reads it', async (version) => {
  const server = await startServer({ version })
  await server.query('checkpoint')
  const [row] = await server.query<{ redo: string; timeline: number }>(
    'select redo_lsn::text as redo, timeline_id as timeline from pg_control_checkpoint()',
  )
  const running = await readControlFile(server.dataDirectory)
  expect({ ...running, redo: formatLsn(running.redo) }).toEqual({ state: 'in production', ...row })
  await server.stop('fast')
  expect(await readControlFile(server.dataDirectory)).toMatchObject({ state: 'shut down' })
})

it('what is not there, or not a control file, is an error', async () => {
  const folder = mkdtempSync('/tmp/pgarch-control-')
  try {
    const wrong = { failure: 'unusable' }
    await expect(readControlFile(folder)).rejects.toMatchObject(wrong)
    execFileSync('mkdir', [join(folder, 'global')])
    execFileSync('sh', ['-c', `yes | head -c 8192 >'${folder}/global/pg_control'`])
    await expect(readControlFile(folder)).rejects.toMatchObject(wrong)
  } finally {
    execFileSync('rm', ['-r', folder])
    expect(existsSync(folder)).toBe(false)
  }
})
