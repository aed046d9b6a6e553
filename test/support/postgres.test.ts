import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { baseBackup } from './base-backup.ts'
import { temporaryFolder } from './folder.ts'
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

/** Set for a test run inside this one: a file to write to, before it waits to be killed. */
const note = process.env.PGARCH_TEST_NOTE

test.runIf(note)('endless', async () => {
  const { pid, folder } = await startServer()
  writeFileSync(note as string, JSON.stringify({ worker: process.pid, pid, folder }))
  await sleep(600_000)
})

test.skipIf(note)('a test run that is killed leaves no server and no folder', async () => {
  const own = temporaryFolder('note')
  onTestFinished(() => own.remove())
  const file = join(own.path, 'note.json')
  const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
  const run = spawn(process.execPath, [vitest, 'run', import.meta.filename, '-t', '^endless$'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, PGARCH_TEST_NOTE: file },
    stdio: 'ignore',
  })
  onTestFinished(() => void run.kill())
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(50)
  const { worker, pid, folder } = JSON.parse(readFileSync(file, 'utf8'))
  process.kill(worker, 'SIGKILL')
  await once(run, 'exit')
  while (existsSync(folder) || existsSync(`/proc/${pid}`)) await sleep(50)
})
