import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { markReady } from '../support/data-directory.ts'
import { archiveSegment, endSegment, type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import type { Server } from '../support/postgres.ts'
import { conflictsOf, filesOf, fingerprintOf, sha256 } from '../support/rows.ts'
import { putStored } from '../support/stored.ts'

let fleet: Fleet
let primary: Server
let berlin: string

beforeAll(async () => {
  fleet = await startFleet()
  berlin = await fleet.addPath('berlin')
  primary = await fleet.startPrimary('app', ['berlin'])
})

const pushAs = (path: string, name: string, environment: Record<string, string> = {}) =>
  fleet.pgarch(['push', `pg_wal/${path}`, name], { cwd: primary.dataDirectory, environment })

const push = (name: string, environment?: Record<string, string>) => pushAs(name, name, environment)

function handOver(name: string, content: string): string {
  const file = join(primary.dataDirectory, 'pg_wal', name)
  writeFileSync(file, content)
  ownByUnprivileged(file)
  markReady(primary.dataDirectory, name)
  return file
}

const archivedAs = async (name: string) =>
  (await filesOf(fleet, 'app')).find(({ file }) => file === name)?.sha256

it('the segment that the server still writes to is refused, and archived when it is full', async () => {
  await archiveSegment(primary)
  const [row] = await primary.query<{ name: string }>(
    'select pg_walfile_name(pg_current_wal_insert_lsn()) as name from pg_create_restore_point($$x$$)',
  )
  const current = row?.name ?? ''
  const pushed = await push(current)
  expect(pushed.status).toBe(1)
  expect(pushed.stderr).toMatch(/has not released ".*" for archiving\n.*HINT: .*\.ready/)
  expect(await archivedAs(current)).toBe(undefined)
  expect(await archiveSegment(primary)).toBe(current)
  // It is marked as done now.
  expect(await push(current)).toMatchObject({ status: 0 })
  const content = readFileSync(join(primary.dataDirectory, 'pg_wal', current))
  expect(await archivedAs(current)).toBe(sha256(content))
})

it('a file is refused under the name of another, and when it is not there', async () => {
  const file = handOver('00000002.history', '1\t0/3000000\tno recovery target specified\n')
  markReady(primary.dataDirectory, '00000009.history')
  const renamed = await pushAs('00000002.history', '00000009.history')
  expect(renamed.status).toBe(1)
  expect(renamed.stderr).toContain('is not named "00000009.history"')
  expect(await archivedAs('00000009.history')).toBe(undefined)
  rmSync(file)
  const missing = await push('00000002.history')
  expect(missing.status).toBe(1)
  expect(missing.stderr).toMatch(
    /ERROR: {2}could not open WAL file ".*2\.history": no such file or directory\n/,
  )
})

it('nothing is claimed for a cluster without an active path', async () => {
  const homeless = await fleet.startPrimary('homeless', [])
  const name = await endSegment(homeless)
  const words = ['push', `pg_wal/${name}`, name]
  const pushed = await fleet.pgarch(words, { cwd: homeless.dataDirectory })
  expect(pushed.status).toBe(1)
  expect(pushed.stderr).toContain('cluster "homeless" has no active archive path')
  expect(await filesOf(fleet, 'homeless')).toEqual([])
  await homeless.stop('immediate')
})

it('a backup history file that a crash emptied counts as archived, and is no conflict to settle', async () => {
  const segment = await archiveSegment(primary)
  const name = `${segment}.00000028.backup`
  const whole = `START WAL LOCATION: 0/28 (file ${segment})\n`
  handOver(name, whole)
  expect(await push(name)).toMatchObject({ status: 0 })

  handOver(name, '')
  const emptied = await push(name)
  expect(emptied.status).toBe(0)
  expect(emptied.stderr).toMatch(/WARNING: {2}".*backup" is empty, and counts as archived: .*other/)
  expect(await conflictsOf(fleet, 'app')).toEqual([])
  expect(await archivedAs(name)).toBe(sha256(Buffer.from(whole)))
  const outage = await push(name, { PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/' })
  expect(outage.status).toBe(0)
  expect(outage.stderr).toContain('counts as archived: path "berlin" holds other content')

  const local = { PGARCH_LOCAL_ARCHIVE: makeFolder(fleet.folder, 'local') }
  const here = { cwd: primary.dataDirectory, environment: local }
  renameSync(berlin, `${berlin}.away`)
  await push(name, { ...local, PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/' })
  renameSync(`${berlin}.away`, berlin)
  expect((await fleet.pgarch(['local', 'list'], here)).stdout).toContain(name)
  const flushed = await fleet.pgarch(['journal', 'flush'], here)
  expect(flushed).toEqual({ status: 0, stdout: '2 records were delivered.\n', stderr: '' })
  const drained = await fleet.pgarch(['local', 'drain'], here)
  expect(drained).toMatchObject({ status: 0, stderr: expect.stringContaining('counts as drained') })
  expect((await fleet.pgarch(['local', 'list'], here)).stdout).not.toContain(name)
  expect(await conflictsOf(fleet, 'app')).toEqual([])
  expect(await archivedAs(name)).toBe(sha256(Buffer.from(whole)))

  const madrid = await fleet.addPath('madrid')
  const fingerprint = await fingerprintOf(fleet, 'app')
  const [control] = await primary.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  const empty = { walName: name, bytes: Buffer.alloc(0), systemIdentifier: control?.id ?? '' }
  await putStored(madrid, fingerprint, empty)
  const words = ['schedule', 'rebuild', '--path', 'madrid']
  const rebuilt = await fleet.pgarch(words, { admin: true })
  expect(rebuilt).toMatchObject({ status: 0, stdout: expect.stringMatching(/madrid .* 0 +0\n/) })
  expect(await conflictsOf(fleet, 'app')).toEqual([])

  handOver(name, whole.replace('28', '2C'))
  expect((await push(name)).status).toBe(1)
})
