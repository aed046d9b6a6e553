import { execFileSync } from 'node:child_process'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { baseBackup } from '../support/base-backup.ts'
import { archiveSegment, type Fleet, startFleet, storedFile, waitFor } from '../support/fleet.ts'
import { type Server, serverVersions, startFrom } from '../support/postgres.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})

/** A backup of the primary, started in archive recovery with pgarch. */
async function recover(
  backup: string,
  settings: Record<string, string> = {},
  options: { wait?: boolean; version?: Server['version'] } = {},
): Promise<Server> {
  return await startFrom(backup, {
    signal: 'recovery',
    environment: fleet.environment,
    settings: { ...fleet.restoreSettings, archive_mode: 'off', ...settings },
    ...options,
  })
}

async function backupOf(primary: Server, name: string): Promise<string> {
  const backup = join(fleet.folder, name)
  await baseBackup(primary, backup)
  return backup
}

async function numbersIn(server: Server): Promise<number> {
  const [row] = await server.query<{ count: number }>('select count(*)::int as count from numbers')
  return row?.count ?? -1
}

async function isPrimary(server: Server): Promise<boolean> {
  const [row] = await server.query<{ recovering: boolean }>(
    'select pg_is_in_recovery() as recovering',
  )
  return row?.recovering === false
}

async function timelineOf(server: Server): Promise<number> {
  const [row] = await server.query<{ timeline: number }>(
    'select timeline_id as timeline from pg_control_checkpoint()',
  )
  return row?.timeline ?? 0
}

describe.each(serverVersions())('PostgreSQL $major', (version) => {
  it('a primary archives over SFTP, and a second server recovers to a point in time', async () => {
    const name = `pitr${version.major}`
    const primary = await fleet.startPrimary(name, ['berlin'], { version })
    await primary.query('create table numbers (n int)')
    const backup = await backupOf(primary, `${name}-backup`)
    await primary.query('insert into numbers select generate_series(1, 1000)')
    const [moment] = await primary.query<{ now: string }>('select clock_timestamp()::text as now')
    await primary.query('select pg_sleep(0.1); insert into numbers values (1001)')
    const last = await archiveSegment(primary)

    const files = await fleet.rows<{ wal_name: string; archived: boolean }>(
      `select f.wal_name, exists (
         select from pgarch.arch_copy c where c.db_id = f.db_id and c.wal_name = f.wal_name
       ) as archived
       from pgarch.arch_file f join pgarch.arch_db_info d on d.id = f.db_id
       where d.name = $1 order by 1`,
      [name],
    )
    expect(files.map(({ wal_name }) => wal_name)).toContain(last)
    expect(files.every(({ archived }) => archived)).toBe(true)

    const recovered = await recover(
      backup,
      { recovery_target_time: moment?.now ?? '', recovery_target_action: 'promote' },
      { version },
    )
    await waitFor('it is promoted', () => isPrimary(recovered))
    expect(await numbersIn(recovered)).toBe(1000)
    expect(await timelineOf(recovered)).toBe(2)
  })
})

describe('when something is missing', () => {
  it('a truly absent segment ends recovery, with everything that was archived', async () => {
    const primary = await fleet.startPrimary('whole', ['berlin'])
    await primary.query('create table numbers (n int)')
    const backup = await backupOf(primary, 'whole-backup')
    await primary.query('insert into numbers select generate_series(1, 500)')
    await archiveSegment(primary)
    await primary.query('insert into numbers values (501)') // never archived

    const recovered = await recover(backup)
    await waitFor('it is promoted', () => isPrimary(recovered))
    expect(await numbersIn(recovered)).toBe(500)
  })

  it('the path becomes unreachable in mid-recovery: PostgreSQL stops, promotes nothing, and goes on when it is back', async () => {
    const primary = await fleet.startPrimary('cut', ['berlin'])
    await primary.query('create table numbers (n int)')
    const backup = await backupOf(primary, 'cut-backup')
    for (let segment = 0; segment < 6; segment++) {
      await primary.query('insert into numbers select generate_series(1, 100)')
      await archiveSegment(primary)
    }
    const recovered = await recover(backup, { recovery_target_action: 'promote' }, { wait: false })
    await waitFor('it restores', () => /restored log file "00000001/.test(recovered.log()))
    sshd.kill()
    await recovered.ended()
    expect(recovered.log()).not.toContain('archive recovery complete')
    expect(recovered.log()).toMatch(/could not restore file|startup process/)

    await sshd.restart()
    await recovered.start()
    await waitFor('it is promoted', () => isPrimary(recovered))
    expect(await numbersIn(recovered)).toBe(600)
  })

  it('a copy that was recorded and is gone is damage, not the end of WAL', async () => {
    const primary = await fleet.startPrimary('gone', ['berlin'])
    await primary.query('create table numbers (n int)')
    const backup = await backupOf(primary, 'gone-backup')
    await primary.query('insert into numbers select generate_series(1, 10)')
    const name = await archiveSegment(primary)
    const [cluster] = await fleet.rows<{ id: string }>(
      "select id from pgarch.arch_db_info where name = 'gone'",
    )
    const file = storedFile(join(fleet.folder, 'berlin'), cluster?.id ?? '', name)
    await rename(file, `${file}.away`)

    const recovered = await recover(backup, {}, { wait: false })
    await recovered.ended()
    expect(recovered.log()).toContain(`no longer has "${name}"`)
    expect(recovered.log()).not.toContain('archive recovery complete')

    await rename(`${file}.away`, file)
    await recovered.start()
    await waitFor('it is promoted', () => isPrimary(recovered))
    expect(await numbersIn(recovered)).toBe(10)
  })
})

it('a timeline switch, and a recovery along it', async () => {
  const primary = await fleet.startPrimary('line', ['berlin'])
  await primary.query('create table numbers (n int)')
  const backup = await backupOf(primary, 'line-backup')
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)
  await primary.stop('fast')

  const second = join(fleet.folder, 'line-second')
  execFileSync('cp', ['-a', backup, second])
  const promoted = await recover(second, fleet.archiveSettings)
  await waitFor('it is promoted', () => isPrimary(promoted))
  await fleet.admin('register', '--member', '--pgdata', second, '--pguser', 'postgres')
  await promoted.query('insert into numbers select generate_series(1, 11)')
  await waitFor('the new timeline is archived', async () => {
    const last = await archiveSegment(promoted)
    return last.startsWith('00000002')
  })
  await promoted.stop('fast')

  const third = await recover(backup)
  await waitFor('it is promoted', () => isPrimary(third))
  expect(await numbersIn(third)).toBe(111)
  expect(await timelineOf(third)).toBe(3)
})
