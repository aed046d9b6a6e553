import { readdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import type { Server } from '../support/postgres.ts'

let fleet: Fleet

beforeAll(async () => {
  // A second is enough to tell that nobody answers, and keeps the tests short.
  fleet = await startFleet({ environment: { PGARCH_SCHEDULE_TIMEOUT: '1s' } })
  await fleet.addPath('berlin')
})

function journalOf(server: Server): string[] {
  const state = fleet.environment.PGARCH_STATE_DIR ?? ''
  const folder = join(state, server.dataDirectory, '@pgarch', 'journal')
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.json'),
    )
  } catch {
    return []
  }
}

/** The rests of an outage end, as if half a minute had gone by. */
async function wake(server: Server): Promise<void> {
  const state = fleet.environment.PGARCH_STATE_DIR ?? ''
  await rm(join(state, server.dataDirectory, '@pgarch', 'rests.json'), { force: true })
}

async function copies(name: string) {
  return await fleet.rows<{ wal_name: string; copies: number; logged: number }>(
    `select f.wal_name,
            (select count(*)::int from pgarch.arch_copy c
             where c.db_id = f.db_id and c.wal_name = f.wal_name) as copies,
            (select count(*)::int from pgarch.arch_remote_log l
             where l.db_id = f.db_id and l.wal_name = f.wal_name and l.status) as logged
     from pgarch.arch_file f join pgarch.arch_db_info d on d.id = f.db_id
     where d.name = $1 order by 1`,
    [name],
  )
}

type Outage = [title: string, begin: () => Promise<void>, end: () => Promise<void>]

const outages: Outage[] = [
  ['is stopped', () => fleet.schedule.stop('immediate'), () => fleet.schedule.start()],
  ['hangs', async () => fleet.schedule.kill('SIGSTOP'), async () => fleet.schedule.kill('SIGCONT')],
  [
    'is read-only',
    async () => {
      await fleet.schedule.query('alter system set default_transaction_read_only = on')
      await fleet.schedule.query('select pg_reload_conf()')
    },
    async () => {
      // ALTER SYSTEM writes a file, not the database, so a read-only session may.
      await fleet.schedule.query('alter system reset default_transaction_read_only')
      await fleet.schedule.query('select pg_reload_conf()')
    },
  ],
  [
    'has no connection left',
    async () => {
      await fleet.schedule.query('alter role pgarch_agent connection limit 0')
    },
    async () => {
      await fleet.schedule.query('alter role pgarch_agent connection limit -1')
    },
  ],
  [
    'has a schema that is too new',
    async () => {
      await fleet.rows(
        "insert into pgarch.schema_version (version, name, oldest_client) values (99, 'x', 99)",
      )
    },
    async () => {
      await fleet.rows('delete from pgarch.schema_version where version = 99')
    },
  ],
]

describe.each(outages)('the scheduling database %s', (title, begin, end) => {
  it('archiving goes on by the cached route; every record is delivered later, once', async () => {
    const name = title.replaceAll(' ', '-')
    const primary = await fleet.startPrimary(name, ['berlin'])
    const before = await archiveSegment(primary)

    await begin()
    const during = [await archiveSegment(primary), await archiveSegment(primary)]
    expect(primary.log()).toContain('going on with the route of')
    expect(journalOf(primary)).toHaveLength(2)
    const status = await fleet.pgarch(['status', '--host', '--json'])
    expect(status.status).toBe(1)
    expect(JSON.parse(status.stdout)).toContainEqual(
      expect.objectContaining({
        dataDirectory: primary.dataDirectory,
        clusterName: name,
        journalLength: 2,
        journalOldest: expect.any(String),
      }),
    )

    await end()
    await wake(primary)
    const after = await archiveSegment(primary)
    await waitFor('the journal is empty', () => journalOf(primary).length === 0)
    const known = await copies(name)
    expect(known.map(({ wal_name }) => wal_name)).toEqual(
      expect.arrayContaining([before, ...during, after]),
    )
    expect(known.every(({ copies, logged }) => copies === 1 && logged === 1)).toBe(true)
    await primary.stop('immediate')
  })
})

it('"pgarch journal flush" delivers without waiting for a push', async () => {
  const primary = await fleet.startPrimary('flush', ['berlin'])
  await archiveSegment(primary)
  await fleet.schedule.stop('fast')
  const during = await archiveSegment(primary)
  const failed = await fleet.pgarch(['journal', 'flush', '--pgdata', primary.dataDirectory])
  expect(failed).toMatchObject({ status: 1, stderr: expect.stringContaining('HINT') })
  await fleet.schedule.start()
  const flushed = await fleet.pgarch(['journal', 'flush', '--pgdata', primary.dataDirectory])
  expect(flushed).toMatchObject({ status: 0, stdout: '1 record was delivered.\n' })
  expect(journalOf(primary)).toEqual([])
  expect(await copies('flush')).toContainEqual({ wal_name: during, copies: 1, logged: 1 })
  await primary.stop('immediate')
})

it('a path keeps its place in the route while only a journal knows what lies there', async () => {
  const root = await fleet.addPath('madrid')
  const primary = await fleet.startPrimary('unreported', ['madrid', 'berlin'])
  renameSync(root, `${root}.away`)
  const before = await archiveSegment(primary) // on berlin
  renameSync(`${root}.away`, root)
  await fleet.schedule.stop('fast')
  await wake(primary)
  const during = await archiveSegment(primary)
  await fleet.schedule.start()
  const dba = (...words: string[]) => fleet.pgarch(words, { admin: true })
  const refused = {
    status: 1,
    stderr: expect.stringMatching(/holds files.* that are not recorded\n.*HINT: .*disable/),
  }

  expect(await dba('route', 'remove', 'unreported', 'madrid')).toMatchObject(refused)
  renameSync(root, `${root}.away`)
  expect(await dba('route', 'remove', 'unreported', 'madrid')).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/cannot tell whether .*no pgarch-path\n.*HINT: .*path lost/),
  })
  renameSync(`${root}.away`, root)
  const target = join(makeFolder(fleet.folder, 'unreported-target'), during)
  const fetch = ['fetch', during, target, '--cluster', 'unreported']
  expect(await fleet.pgarch(fetch)).toMatchObject({ status: 0 })

  // Out of the route by an earlier pgarch.
  await fleet.rows(
    `delete from pgarch.arch_path_map m using pgarch.arch_path_info p
     where p.id = m.path_id and p.name = 'madrid'`,
  )
  expect(await dba('path', 'remove', 'madrid')).toMatchObject(refused)
  await fleet.pgarch(['journal', 'flush', '--pgdata', primary.dataDirectory])
  expect(await copies('unreported')).toEqual(
    [before, during].map((wal_name) => ({ wal_name, copies: 1, logged: 1 })),
  )
  await primary.stop('immediate')
})

it('a cached stop is a pause: WAL waits, and nothing is dropped', async () => {
  const primary = await fleet.startPrimary('stopped', ['berlin'])
  await archiveSegment(primary)
  await fleet.admin('cluster', 'stop', 'stopped', '--yes-lose-wal', '--reason', 'a test')
  const dropped = await archiveSegment(primary)
  expect(await fleet.rows('select wal_name from pgarch.arch_gap')).toEqual([{ wal_name: dropped }])

  await fleet.schedule.stop('fast')
  await primary.query('select pg_switch_wal()')
  await waitFor('push fails', () => /is at stop by .*: a test/.test(primary.log()))
  await fleet.schedule.start()
  await wake(primary)
  await fleet.admin('cluster', 'start', 'stopped')
  const kept = await archiveSegment(primary)
  const known = (await copies('stopped')).map(({ wal_name }) => wal_name)
  expect(known).toContain(kept)
  expect(known).not.toContain(dropped)
  expect(await fleet.rows('select wal_name from pgarch.arch_gap')).toEqual([{ wal_name: dropped }])
  await primary.stop('immediate')
})

describe('a data directory becomes another cluster while records wait', () => {
  const registerAnew = (server: Server, name: string) =>
    fleet.pgarch(
      [
        'register',
        '--new',
        '--name',
        name,
        '--pgdata',
        server.dataDirectory,
        '--pguser',
        'postgres',
      ],
      { admin: true },
    )

  it('they are delivered for the one that it was', async () => {
    const primary = await fleet.startPrimary('former', ['berlin'])
    await archiveSegment(primary)
    await fleet.schedule.stop('fast')
    const during = await archiveSegment(primary)
    await fleet.schedule.start()
    expect(await registerAnew(primary, 'latter')).toMatchObject({ status: 0, stderr: '' })
    expect(journalOf(primary)).toEqual([])
    expect(await copies('former')).toContainEqual({ wal_name: during, copies: 1, logged: 1 })
    expect(await copies('latter')).toEqual([])
    await primary.stop('immediate')
  })

  it("those that cannot be delivered wait, are told of, and are nobody else's", async () => {
    const primary = await fleet.startPrimary('gone', ['berlin'])
    await archiveSegment(primary)
    await fleet.schedule.stop('fast')
    const during = await archiveSegment(primary)
    await fleet.schedule.start()
    // As when the scheduling database was made anew from the paths: no credential is known.
    await fleet.rows(
      `delete from pgarch.arch_member m using pgarch.arch_db_info d
       where d.id = m.db_id and d.name = 'gone'`,
    )
    const registered = await registerAnew(primary, 'successor')
    expect(registered.status).toBe(0)
    expect(registered.stderr).toMatch(
      /WARNING: .*stays there, for cluster "gone": .*membership\n.*HINT: .*schedule rebuild/,
    )
    await fleet.admin('route', 'set', 'successor', 'berlin', '--priority', '1')
    await wake(primary)
    const next = await archiveSegment(primary)
    expect((await copies('successor')).map(({ wal_name }) => wal_name)).toEqual([next])
    expect(journalOf(primary)).toHaveLength(1)

    const status = await fleet.pgarch(['status', '--host', '--json'])
    expect(JSON.parse(status.stdout)).toContainEqual(
      expect.objectContaining({ clusterName: 'successor', journalLength: 1, journalOfOthers: 1 }),
    )
    expect((await fleet.pgarch(['status', '--host'])).stdout).toContain('1, 1 of another cluster')
    const flushed = await fleet.pgarch(['journal', 'flush', '--pgdata', primary.dataDirectory])
    expect(flushed.status).toBe(1)
    expect(flushed.stderr).toMatch(/1 record stays: it is of a cluster .*\n.*HINT: .*rebuild/)
    expect(journalOf(primary)).toHaveLength(1)

    await fleet.admin('schedule', 'rebuild')
    expect((await copies('gone')).map(({ wal_name }) => wal_name)).toContain(during)
    await primary.stop('immediate')
  })
})
