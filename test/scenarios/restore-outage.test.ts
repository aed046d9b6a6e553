import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet } from '../support/fleet.ts'
import { installation } from '../support/installation.ts'
import type { Server } from '../support/postgres.ts'
import { countOf, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'
import { fingerprintOf } from '../support/rows.ts'
import { putStored } from '../support/stored.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

let fleet: Fleet
let berlin: string
let madrid: string

beforeAll(async () => {
  fleet = await startFleet()
  berlin = await fleet.addPath('berlin')
  madrid = await fleet.addPath('madrid')
})

/** So that a test that fails leaves nothing broken to the next one. */
afterEach(async () => {
  if (!fleet.schedule.isRunning) await fleet.schedule.start()
  for (const root of [berlin, madrid]) {
    if (existsSync(`${root}.away`)) renameSync(`${root}.away`, root)
  }
})

interface Archived {
  readonly primary: Server
  readonly backup: string
  readonly fingerprint: string
  /** The segments behind the backup, with 100 rows of `numbers` in each. */
  readonly segments: readonly string[]
}

/** A cluster that archived to berlin alone, and a backup from before its last two segments. */
async function archiveTwo(name: string): Promise<Archived> {
  const primary = await fleet.startPrimary(name, ['berlin', 'madrid'])
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, `${name}-backup`, { includeWal: true })
  const segments = [await fill(primary), await fill(primary)]
  return { primary, backup, fingerprint: await fingerprintOf(fleet, name), segments }
}

async function fill(primary: Server): Promise<string> {
  await primary.query('insert into numbers select generate_series(1, 100)')
  return await archiveSegment(primary)
}

/** Copies what one path has of a cluster to the other, as a DBA would. */
function copyTree(from: string, to: string, fingerprint: string): void {
  execFileSync('cp', ['-a', join(from, fingerprint), to], asUnprivileged())
}

function registerOffline(backup: string): Promise<string> {
  return fleet.admin('register', '--member', '--offline', '--pgdata', backup)
}

function fetchInto(dataDirectory: string, walName: string, ...options: string[]) {
  return fleet.pgarch(['fetch', ...options, walName, 'pg_wal/RECOVERYXLOG'], { cwd: dataDirectory })
}

async function identifierOf(server: Server): Promise<string> {
  const [row] = await server.query<{ identifier: string }>(
    'select system_identifier::text as identifier from pg_control_system()',
  )
  return row?.identifier ?? ''
}

/** Names a signal file's role for calls by hand, without a server. */
function asRole(dataDirectory: string, signal: 'standby' | 'recovery'): void {
  rmSync(join(dataDirectory, 'standby.signal'), { force: true })
  writeFileSync(join(dataDirectory, `${signal}.signal`), '')
}

describe('the scheduling database is down', () => {
  it('what a registered host knows of is placed, but nothing is absent: recovery stops, and ends when it is back', async () => {
    const { primary, backup, segments } = await archiveTwo('down')
    await primary.stop()
    await registerOffline(backup)
    expect((await fetchInto(backup, segments[0] ?? '')).status).toBe(0)
    await fleet.schedule.stop('immediate')

    const restored = await startRestored(fleet, backup, 'recovery', {
      wait: false,
      settings: { recovery_target_timeline: 'current' },
    })
    await restored.ended()
    for (const name of segments) expect(restored.log()).toContain(`restored log file "${name}"`)
    expect(restored.log()).toContain('scheduling database at')
    expect(restored.log()).not.toContain('archive recovery complete')

    await fleet.schedule.start()
    await restored.start()
    await untilPrimary(restored)
    expect(await countOf(restored, 'numbers')).toBe(200)
  })

  it('an unregistered host has nothing to go by', async () => {
    const { primary, backup, segments } = await archiveTwo('strange')
    await primary.stop()
    asRole(backup, 'recovery')
    await fleet.schedule.stop('immediate')
    expect((await fetchInto(backup, segments[0] ?? '')).status).toBe(200)
    await fleet.schedule.start()
    expect((await fetchInto(backup, segments[0] ?? '')).status).toBe(0)
  })

  it('a standby asks nobody a second time who failed just now; archive recovery always does', async () => {
    const { primary, backup, segments } = await archiveTwo('tired')
    const [first = ''] = segments
    await primary.stop()
    await registerOffline(backup)
    asRole(backup, 'standby')
    renameSync(berlin, `${berlin}.away`)
    const one = await fetchInto(backup, first)
    expect(one).toMatchObject({ status: 75, stderr: expect.stringContaining('has no pgarch-path') })
    await fleet.schedule.stop('immediate')
    expect(await fetchInto(backup, first)).toMatchObject({
      status: 75,
      stderr: expect.stringContaining('scheduling database at'),
    })
    renameSync(`${berlin}.away`, berlin)
    await fleet.schedule.start()

    const rested = await fetchInto(backup, first)
    expect(rested.status).toBe(75)
    expect(rested.stderr).toContain('path "berlin" failed lately')
    expect(rested.stderr).toContain('the scheduling database failed lately')
    asRole(backup, 'recovery')
    expect((await fetchInto(backup, first)).status).toBe(0)
  })

  it('two paths with different content: neither is placed before somebody decides', async () => {
    const { primary, backup, segments, fingerprint } = await archiveTwo('differs')
    const [name = ''] = segments
    const systemIdentifier = await identifierOf(primary)
    await primary.stop()
    await registerOffline(backup)
    asRole(backup, 'recovery')
    copyTree(berlin, madrid, fingerprint)
    // As a second server would have archived it on the other path during an outage.
    const segno = Number.parseInt(name.slice(16), 16)
    const bytes = makeSegment({ segno, walSegmentSize: 1024 * 1024, systemIdentifier })
    await putStored(madrid, fingerprint, { walName: name, bytes, systemIdentifier })
    expect((await fetchInto(backup, name)).status).toBe(0)

    rmSync(join(backup, 'pg_wal/RECOVERYXLOG'))
    await fleet.schedule.stop('immediate')
    const unclear = await fetchInto(backup, name)
    const chosen = await fetchInto(backup, name, '--without', 'madrid')
    await fleet.schedule.start()
    expect(unclear.status).toBe(200)
    expect(unclear.stderr).toContain(`paths hold different content as "${name}"`)
    expect(chosen.status).toBe(0)
  })
})

describe('a path is lost', () => {
  it('a recovery ends loudly where only the lost path had WAL; when it is found again, nothing is missing', async () => {
    const { primary, backup, fingerprint, segments } = await archiveTwo('half')
    await fleet.rows(
      `insert into pgarch.arch_copy (db_id, wal_name, path_id)
       select $1, $2, id from pgarch.arch_path_info where name = 'madrid'`,
      [fingerprint, segments[0]],
    )
    copyTree(berlin, madrid, fingerprint)
    await fleet.admin('path', 'disable', 'berlin')
    const onlyThere = await fill(primary)
    await fleet.admin('path', 'enable', 'berlin')
    await primary.stop()
    const second = join(fleet.folder, 'half-second')
    execFileSync('cp', ['-a', backup, second], asUnprivileged())

    renameSync(madrid, `${madrid}.away`)
    const lose = ['path', 'lost', 'madrid', '--reason', 'fire']
    expect(await fleet.pgarch(lose, { admin: true })).toMatchObject({
      status: 64,
      stdout: expect.stringMatching(/^Path "madrid" holds 1 file of one cluster/),
      stderr: expect.stringContaining('--yes-lose-wal'),
    })
    expect(await fleet.admin(...lose, '--yes-lose-wal')).toMatch(
      new RegExp(`half: 1, ${onlyThere}\\nPath "madrid" is lost, and with it 1 file`),
    )
    expect(await fleet.admin('path', 'list')).toMatch(/madrid +lost/)
    expect(await fleet.admin('path', 'show', 'madrid')).toMatch(/reason +fire/)
    expect((await fleet.pgarch(['status', 'half'], { admin: true })).stdout).toMatch(
      /1 file only on a lost path/,
    )

    const short = await startRestored(fleet, backup, 'recovery')
    await untilPrimary(short)
    expect(await countOf(short, 'numbers')).toBe(200)
    expect(short.log()).toContain(
      `WARNING:  "${onlyThere}" was archived on path "madrid", which is lost`,
    )

    expect((await fleet.pgarch(['path', 'found', 'madrid'], { admin: true })).status).toBe(1)
    renameSync(`${madrid}.away`, madrid)
    await fleet.admin('path', 'found', 'madrid')
    const whole = await startRestored(fleet, second, 'recovery')
    await untilPrimary(whole)
    expect(await countOf(whole, 'numbers')).toBe(300)
  })

  it('--without a path that does not answer: recovery ends without it, and says so on every use', async () => {
    const { primary, backup, segments } = await archiveTwo('without')
    await primary.stop()
    renameSync(madrid, `${madrid}.away`)
    const { pgarch } = installation()
    const restored = await startRestored(fleet, backup, 'recovery', {
      settings: { restore_command: `"${pgarch}" fetch --without madrid %f %p` },
    })
    await untilPrimary(restored)
    renameSync(`${madrid}.away`, madrid)
    expect(await countOf(restored, 'numbers')).toBe(200)
    for (const name of segments) {
      expect(restored.log()).toContain(`path "madrid" is left out, whatever it holds of "${name}"`)
    }
    expect(restored.log()).toMatch(/"0{7}1.{16}" may be on path "madrid", which was left out/)
  })
})

describe('the scheduling database is lost', () => {
  it('and so are the primary and one of two paths: a restore works from the declared one', async () => {
    const { primary, backup, fingerprint } = await archiveTwo('rescue')
    copyTree(berlin, madrid, fingerprint)
    await primary.stop('immediate')
    rmSync(primary.dataDirectory, { recursive: true })
    renameSync(berlin, `${berlin}.away`)
    await fleet.schedule.stop('immediate')

    const uuid = JSON.parse(readFileSync(join(madrid, 'pgarch-path'), 'utf8')).path
    const config = join(fleet.folder, 'rescue.toml')
    writeFileSync(
      config,
      `[fetch]
paths_complete = true
[[path]]
name = "madrid"
root = "${madrid}"
uuid = "${uuid}"
`,
    )
    const environment = { PGARCH_CONFIG: config }
    asRole(backup, 'recovery')
    const manifest = join(madrid, fingerprint, 'manifest.json')
    renameSync(manifest, `${manifest}.away`)
    const unnamed = await fleet.pgarch(['fetch', '00000002.history', 'pg_wal/RECOVERYHISTORY'], {
      cwd: backup,
      environment,
    })
    expect(unnamed).toMatchObject({ status: 200, stderr: expect.stringContaining('--cluster') })
    renameSync(`${manifest}.away`, manifest)

    const restored = await startRestored(fleet, backup, 'recovery', { environment })
    await untilPrimary(restored)
    await fleet.schedule.start()
    renameSync(`${berlin}.away`, berlin)
    expect(await countOf(restored, 'numbers')).toBe(200)
  })
})
