import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { archiveSegment, type Fleet, startFleet, storedFile, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import type { Server } from '../support/postgres.ts'
import { countOf, startRestored, takeBackup } from '../support/restored.ts'
import { copiesOf, fingerprintOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
})

/** Files that nobody looks into, as a path stores them: made by the user who runs pgarch. */
function layOut(root: string, fingerprint: string, names: readonly string[]): void {
  for (const name of names) {
    const file = storedFile(root, fingerprint, name)
    const as = { cwd: root, ...asUnprivileged() }
    execFileSync('mkdir', ['-p', dirname(file)], as)
    execFileSync('touch', [file], as)
  }
}

/** Names of stored files, with `.zst`. */
function namesIn(root: string, fingerprint: string): string[] {
  const entries = readdirSync(join(root, fingerprint), { recursive: true, withFileTypes: true })
  return entries
    .filter((one) => one.isFile() && one.name !== 'manifest.json')
    .map(({ name }) => name)
    .sort()
}

const segment = (timeline: number, number: number) =>
  [timeline, 0, number].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('')

describe('beside the real pg_archivecleanup', () => {
  let root: string
  let primary: Server
  let fingerprint: string
  let folder: string
  const program = '/usr/lib/postgresql/15/bin/pg_archivecleanup'
  const names = [
    ...[1, 2, 5, 6, 7, 255].flatMap((number) => [1, 2, 3].map((line) => segment(line, number))),
    '000000010000000100000000',
    '00000002.history',
    '00000003.history',
    ...[5, 6].flatMap((number) => [
      `${segment(1, number)}.partial`,
      `${segment(1, number)}.00000028.backup`,
    ]),
    // What no server writes.
    `${segment(1, 1)}.gz`,
    `${segment(1, 1)}0`,
    segment(1, 1).slice(1),
    segment(1, 0xab).toLowerCase(),
    `${segment(1, 1)}.partial.away`,
    'RECOVERYXLOG',
  ]

  beforeAll(async () => {
    root = await fleet.addPath('compared')
    // Its own files are not to be in the way.
    primary = await fleet.startPrimary('compared', ['compared'], {
      settings: { archive_mode: 'off' },
    })
    fingerprint = await fingerprintOf(fleet, 'compared')
  })

  it
    .skipIf(!findProgram(program))
    .each([
      segment(1, 6),
      segment(3, 7),
      `${segment(2, 6)}.partial`,
      `${segment(1, 6)}.00000028.backup`,
      '000000020000000200000000',
      segment(1, 1),
      segment(0, 0),
    ])('up to %s the same files are listed, and removed', async (limit) => {
    rmSync(join(root, fingerprint), { recursive: true, force: true })
    layOut(root, fingerprint, names)
    folder = makeFolder(fleet.folder, `plain-${limit}`)
    for (const name of names) writeFileSync(join(folder, name), '')
    const pgarch = (...options: string[]) =>
      fleet.pgarch(
        ['cleanup', limit, '--path', 'compared', '--pgdata', primary.dataDirectory].concat(options),
      )
    const theirs = (...options: string[]) =>
      execFileSync(program, [...options, folder, limit], { encoding: 'utf8' })

    const listed = theirs('-n').split('\n').filter(Boolean)
    const { status, stdout, stderr } = await pgarch('-n')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.split('\n').filter(Boolean)).toEqual(
      listed.map((file) => file.slice(folder.length + 1)).sort(),
    )
    expect(namesIn(root, fingerprint)).toEqual(names.map((name) => `${name}.zst`).sort())

    theirs()
    expect(await pgarch()).toMatchObject({ status: 0, stdout: '', stderr: '' })
    expect(namesIn(root, fingerprint)).toEqual(
      readdirSync(folder)
        .map((name) => `${name}.zst`)
        .sort(),
    )
  })
})

it('a standby cleans up its own archive after each restartpoint, and status and fetch tell of it', async () => {
  const root = await fleet.addPath('own')
  const primary = await fleet.startPrimary('app', ['own'])
  await primary.query('create table numbers (n int)')
  const old = await takeBackup(fleet, primary, 'app-old')
  const backup = await takeBackup(fleet, primary, 'app-backup', { includeWal: true })
  const first = await archiveSegment(primary)
  for (let round = 0; round < 4; round++) {
    await primary.query('insert into numbers select generate_series(1, 100); checkpoint')
    await archiveSegment(primary)
  }
  await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
  const program = fleet.restoreSettings.restore_command?.split('" ')[0]
  const standby = await startRestored(fleet, backup, 'standby', {
    environment: { PGARCH_CLEANUP_PATH: 'own' },
    settings: { archive_cleanup_command: `${program}" cleanup %r` },
  })
  await waitFor('it has all', async () => (await countOf(standby, 'numbers')) === 400)
  const fingerprint = await fingerprintOf(fleet, 'app')
  const before = namesIn(root, fingerprint)
  await standby.query('checkpoint')
  await waitFor('it is cleaned up', () => !existsSync(storedFile(root, fingerprint, first)))
  expect(standby.log()).not.toContain('archive_cleanup_command')

  const [row] = await standby.query<{ redo: string }>(
    'select redo_wal_file as redo from pg_control_checkpoint()',
  )
  const stayed = (name: string) => name.includes('.backup') || name >= `${row?.redo}.zst`
  const after = before.filter(stayed)
  await waitFor('all is', () => namesIn(root, fingerprint).length <= after.length)
  expect(namesIn(root, fingerprint)).toEqual(after)
  const copies = await copiesOf(fleet, 'app')
  expect(copies.map(({ file }) => `${file}.zst`).sort()).toEqual(after)

  const status = await fleet.pgarch(['status', 'app'], { admin: true })
  expect(status.status).toBe(0)
  expect(status.stdout).toMatch(
    new RegExp(
      `cleaned up +${before.length - after.length} on path own by .*, before ${row?.redo} `,
    ),
  )

  // A recovery from before goes as far as that, and no further.
  const recovered = await startRestored(fleet, old, 'recovery', { wait: false })
  await recovered.ended()
  expect(recovered.log()).toMatch(
    /"[0-9A-F]{24}" was removed from path "own" by "pgarch cleanup"\n.*A standby had replayed it/,
  )
})

describe('what may be cleaned up', () => {
  let primary: Server
  let root: string
  let fingerprint: string
  const names = [segment(1, 0x30), segment(1, 0x31), '00000002.history']
  const limit = segment(1, 0x31)

  beforeAll(async () => {
    root = await fleet.addPath('alone')
    await fleet.addPath('server', { sshd })
    await fleet.addPath('both')
    primary = await fleet.startPrimary('careful', ['alone', 'server', 'both'])
    await fleet.startPrimary('neighbour', ['both'], { settings: { archive_mode: 'off' } })
    fingerprint = await fingerprintOf(fleet, 'careful')
    await archiveSegment(primary)
  })

  const cleanUp = (words: readonly string[], environment: Record<string, string> = {}) =>
    fleet.pgarch(['cleanup', ...words], { cwd: primary.dataDirectory, environment })
  const lay = () => layOut(root, fingerprint, names)
  const isThere = (name = names[0] ?? '') => existsSync(storedFile(root, fingerprint, name))

  it.each([
    ['a path on a server', 'server', 'it is on a server that others reach as well'],
    ['a path of two clusters', 'both', 'other clusters use it, too'],
  ])('%s is refused, and cleaned up when a person insists', async (_title, path, why) => {
    const folder = join(fleet.folder, path)
    layOut(folder, fingerprint, names)
    const there = storedFile(folder, fingerprint, names[0] ?? '')
    const refused = await cleanUp([limit, '--path', path])
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain(`path "${path}" is not this standby's own: ${why}`)
    expect(refused.stderr).toContain('--yes-shared-archive')
    expect(existsSync(there)).toBe(true)
    expect(await cleanUp([limit, '--path', path, '--yes-shared-archive'])).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(existsSync(there)).toBe(false)
  })

  it('only a path of the cluster, that is named', async () => {
    const foreign = await cleanUp([limit, '--path', 'own'])
    expect(foreign.status).toBe(1)
    expect(foreign.stderr).toContain('path "own" does not exist, or is not one of this cluster')
    const unnamed = await cleanUp([limit])
    expect(unnamed.status).toBe(64)
    expect(unnamed.stderr).toContain('PGARCH_CLEANUP_PATH')
    const odd = await cleanUp(['00000002.history', '--path', 'alone'])
    expect(odd.status).toBe(64)
    expect(odd.stderr).toContain('"00000002.history" is not the name of a segment')
  })

  it('only on a host that is registered', async () => {
    const backup = await takeBackup(fleet, primary, 'careful-copy')
    const { status, stderr } = await fleet.pgarch([
      'cleanup',
      limit,
      '--path',
      'alone',
      '--pgdata',
      backup,
    ])
    expect(status).toBe(1)
    expect(stderr).toContain('is not registered')
  })

  it('nothing while the scheduling database is down; with %r of zeros there is nothing to ask', async () => {
    lay()
    const down = { PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/pgarch' }
    const { status, stderr } = await cleanUp([limit, '--path', 'alone'], down)
    expect(status).toBe(1)
    expect(stderr).toContain('scheduling database at')
    expect(isThere()).toBe(true)
    expect(await cleanUp([segment(0, 0)], down)).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
  })

  it('a file that cannot be removed is fetched still, and goes the next time', async () => {
    lay()
    const archived =
      (await copiesOf(fleet, 'careful')).find(({ file }) => !file.includes('.'))?.file ?? ''
    const folder = dirname(storedFile(root, fingerprint, archived))
    const fetch = () =>
      fleet.pgarch(['fetch', archived, join(fleet.folder, 'fetched'), '--cluster', 'careful'])
    execFileSync('chmod', ['555', folder])
    onTestFinished(() => void execFileSync('chmod', ['755', folder]))
    const failed = await cleanUp([limit, '--path', 'alone'])
    expect(failed.status).toBe(1)
    expect(failed.stderr).toContain('ermission denied')
    expect((await copiesOf(fleet, 'careful')).map(({ file }) => file)).not.toContain(archived)
    expect((await fetch()).status).toBe(0)

    execFileSync('chmod', ['755', folder])
    expect((await cleanUp([limit, '--path', 'alone'])).status).toBe(0)
    const gone = await fetch()
    expect(gone.status).toBe(1)
    expect(gone.stderr).toContain(`"${archived}" was removed from path "alone" by "pgarch cleanup"`)

    // A host delivers its journal only now.
    await fleet.rows(
      `insert into pgarch.arch_copy (db_id, wal_name, path_id)
       select $1, $2, id from pgarch.arch_path_info where name = 'alone'`,
      [fingerprint, archived],
    )
    expect((await fetch()).stderr).toContain('no longer has')
    expect((await cleanUp([limit, '--path', 'alone'])).status).toBe(0)
    expect((await fetch()).status).toBe(1)
    expect(isThere('00000002.history')).toBe(true)
  })
})
