import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, endSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { checkout } from '../support/installation.ts'
import { type Server, startFrom } from '../support/postgres.ts'
import {
  countOf,
  isInRecovery,
  startRestored,
  takeBackup,
  timelineOf,
  untilPrimary,
} from '../support/restored.ts'

let fleet: Fleet
let pgStandby: string

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
  pgStandby = join(fleet.folder, 'pg_standby')
  copyFileSync(join(checkout, 'examples/pg_standby'), pgStandby)
  chmodSync(pgStandby, 0o755)
})

interface Pair {
  readonly primary: Server
  readonly standby: Server
  /** Segments as they are, for pg_standby. */
  readonly plain: string
  readonly trigger: string
}

/**
 * A primary that archives twice, and a server with recovery.signal that waits for its WAL by pg_standby.
 * With `hot_standby` it has replayed all 100 rows that were archived.
 */
async function startPair(
  name: string,
  { options = '-s 1', hot = true, looksFor = 'trigger' } = {},
): Promise<Pair> {
  const plain = makeFolder(fleet.folder, `${name}-plain`)
  const push = fleet.archiveSettings.archive_command
  const primary = await fleet.startPrimary(name, ['berlin'], {
    settings: {
      archive_command: `${push} && cp %p "${plain}/.%f" && mv "${plain}/.%f" "${plain}/%f"`,
    },
  })
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, `${name}-backup`)
  await primary.query('insert into numbers select generate_series(1, 100)')
  const last = await archiveSegment(primary)
  const [trigger, looked] = ['trigger', looksFor].map((file) =>
    join(fleet.folder, `${name}-${file}`),
  )
  const standby = await startFrom(backup, {
    signal: 'recovery',
    wait: false,
    settings: {
      restore_command: `"${pgStandby}" ${options} -r 0 -d -t "${looked}" "${plain}" %f %p %r`,
      archive_mode: 'off',
      hot_standby: hot,
      ...(primary.version.major >= 15 && { recovery_prefetch: 'off' }),
    },
  })
  await waitFor('it waits', () => {
    const [, since = ''] = standby.log().split(`restored log file "${last}"`)
    return since.includes('Waiting for WAL file')
  })
  if (hot) await waitFor('it has all', async () => (await rowsOf(standby)) === 100)
  return { primary, standby, plain, trigger: trigger ?? '' }
}

const rowsOf = (server: Server) => countOf(server, 'numbers').catch(() => -1)

function failover(
  { standby, trigger }: Pick<Pair, 'standby' | 'trigger'>,
  words: readonly string[] = [],
  environment: Record<string, string> = {},
) {
  return fleet.pgarch(
    ['failover', '--pgdata', standby.dataDirectory, '--pguser', 'postgres', ...words],
    { environment: { PGARCH_FETCH_TRIGGER_FILE: trigger, ...environment } },
  )
}

/** The pids of pg_standby and of the sleep it waits in, once it does. */
async function untilItSleeps(server: Server): Promise<{ pgStandby: number; sleep: number }> {
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8').trim()
    } catch {
      return ''
    }
  }
  const childrenOf = (pid: string) => read(pid, `task/${pid}/children`).split(' ').filter(Boolean)
  const below = (pid: string): string[] => [pid, ...childrenOf(pid).flatMap(below)]
  const found = { pgStandby: 0, sleep: 0 }
  await waitFor('it sleeps', () => {
    const pids = below(String(server.pid))
    found.pgStandby = Number(pids.findLast((pid) => read(pid, 'comm') === 'pg_standby'))
    found.sleep = Number(
      childrenOf(String(found.pgStandby)).find((pid) => read(pid, 'comm') === 'sleep'),
    )
    return found.pgStandby > 0 && found.sleep > 0
  })
  return found
}

/** pg_standby looks again, for the trigger first, when its sleep ends. */
const wakeByTrigger = (trigger: string, sleep: number) =>
  waitFor('there is a trigger', () => existsSync(trigger)).then(() => {
    process.kill(sleep)
  })

it('with a smart trigger a waiting server applies what is archived, and is a primary', async () => {
  const pair = await startPair('smart')
  const { primary, standby, trigger } = pair
  const said = await failover(pair, ['-n'])
  expect(said).toMatchObject({ status: 0, stderr: '' })
  expect(said.stdout).toMatch(/is in recovery with recovery\.signal:\n/)
  expect(said.stdout).toMatch(
    / {2}archived {3}up to 0{7}1[0-9A-F]{16}, of .*Z, of cluster "smart"\n/,
  )
  expect(said.stdout).toMatch(
    / {2}replayed {3}up to 0\/[0-9A-F]+, in segment 0{7}1[0-9A-F]{16}; last transaction of .*Z\n/,
  )
  expect(said.stdout).toMatch(
    / {2}to apply {3}no segment after that one\n {2}missing {4}nothing between\n$/,
  )
  expect(existsSync(trigger)).toBe(false)
  expect(await isInRecovery(standby)).toBe(true)

  await primary.query('insert into numbers select generate_series(1, 11)')
  await archiveSegment(primary)
  await primary.stop('fast')
  const done = await failover(pair)
  expect(done).toMatchObject({ status: 0, stderr: '' })
  expect(done.stdout).toContain(
    `trigger file "${trigger}" was created: everything that is archived is applied`,
  )
  expect(done.stdout).toMatch(/the server is a primary, on timeline 2\n$/)
  expect(await rowsOf(standby)).toBe(111)
  expect(await timelineOf(standby)).toBe(2)
  expect(standby.log()).toContain('trigger file found: smart failover')
  expect(readFileSync(trigger, 'utf8')).toBe('')

  const again = await failover(pair)
  expect(again.status).toBe(1)
  expect(again.stderr).toContain('is not in recovery')
})

it('with a fast trigger it gives up the rest; the scheduling database is down, and nothing stops for that', async () => {
  const pair = await startPair('fast', { options: '-s 60' })
  const { primary, standby, trigger, plain } = pair
  await primary.query('insert into numbers select generate_series(1, 11)')
  const given = await archiveSegment(primary)
  expect(existsSync(join(plain, given))).toBe(true)
  const { stdout: position } = await failover(pair, ['-n'])
  expect(position).toContain('to apply   1 segment after that one')
  const { sleep } = await untilItSleeps(standby)
  const woken = wakeByTrigger(trigger, sleep)
  const done = await failover(pair, ['--fast'], {
    PGARCH_SCHEDULE_URL: 'postgresql://127.0.0.1:1/pgarch',
  })
  await woken
  expect(done).toMatchObject({ status: 0 })
  expect(done.stdout).toMatch(/archived {3}not known: .*scheduling database at/)
  expect(done.stdout).toContain('recovery ends now, and what is to apply is given up')
  expect(await rowsOf(standby)).toBe(100)
  expect(standby.log()).toContain('trigger file found: fast failover')
  // The server asked once more for its last segment, and got it.
  expect(readFileSync(trigger, 'utf8')).toBe('')
})

it('SIGUSR1 to pg_standby is a failover without a trigger file', async () => {
  const { primary, standby } = await startPair('signalled', { options: '-s 60' })
  await primary.query('insert into numbers values (101)')
  await archiveSegment(primary)
  process.kill((await untilItSleeps(standby)).pgStandby, 'SIGUSR1')
  await untilPrimary(standby)
  expect(await rowsOf(standby)).toBe(100)
})

it('SIGINT, which the server ignores, too', async () => {
  const { standby } = await startPair('interrupted', { options: '-s 60' })
  process.kill((await untilItSleeps(standby)).pgStandby, 'SIGINT')
  await untilPrimary(standby)
})

it('a server that is stopped takes pg_standby with it', async () => {
  const { standby } = await startPair('stopped', { options: '-s 60' })
  await standby.stop('fast')
  expect(standby.log()).not.toContain('FATAL')
  expect(standby.log()).toContain('database system is shut down')
})

it('a warm standby accepts no connections: its files tell where it is', async () => {
  const pair = await startPair('warm', { hot: false, options: '-s 60' })
  const { sleep } = await untilItSleeps(pair.standby)
  const missing = await endSegment(pair.primary)
  await archiveSegment(pair.primary)
  await fleet.rows(
    `delete from pgarch.arch_copy c using pgarch.arch_db_info d
     where d.id = c.db_id and d.name = 'warm' and c.wal_name = $1`,
    [missing],
  )
  rmSync(join(pair.plain, missing), { force: true })
  const { stdout } = await failover(pair, ['-n'])
  expect(stdout).toMatch(
    /replayed {3}at least up to 0\/[0-9A-F]+, the last restartpoint; it was given segments up to 0{7}1/,
  )
  expect(stdout).toMatch(
    new RegExp(`missing {4}\\d segments?, the first ${missing}: recovery cannot go past it`),
  )
  const woken = wakeByTrigger(pair.trigger, sleep)
  expect(await failover(pair)).toMatchObject({ status: 0 })
  await woken
})

it('a standby is promoted over a connection, and has no fast failover', async () => {
  const primary = await fleet.startPrimary('streamed', ['berlin'])
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'streamed-backup', { includeWal: true })
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)
  const standby = await startRestored(fleet, backup, 'standby')
  await waitFor('it has all', async () => (await rowsOf(standby)) === 100)
  const words = ['failover', '--pgdata', standby.dataDirectory]
  const nobody = await fleet.pgarch([...words, '--pguser', 'nobody'])
  expect(nobody.status).toBe(1)
  expect(nobody.stderr).toContain('pg_ctl promote')
  // The postmaster.pid of a server that crashed, and whose place on the socket this one has taken.
  const crashed = await takeBackup(fleet, primary, 'streamed-crashed')
  writeFileSync(join(crashed, 'standby.signal'), '')
  copyFileSync(join(standby.dataDirectory, 'postmaster.pid'), join(crashed, 'postmaster.pid'))
  const other = await fleet.pgarch(['failover', '--pgdata', crashed, '--pguser', 'postgres'])
  expect(other.status).toBe(1)
  expect(other.stderr).toContain(`no server runs on "${crashed}": the one on its socket runs on`)
  expect(await isInRecovery(standby)).toBe(true)

  const done = await fleet.pgarch([...words, '--pguser', 'postgres', '--fast'])
  expect(done.status).toBe(0)
  expect(done.stderr).toContain('with standby.signal there is no fast failover')
  expect(done.stdout).toMatch(
    /with standby\.signal:\n[\s\S]*asked to promote\nthe server is a primary, on timeline 2\n$/,
  )
  expect(await isInRecovery(standby)).toBe(false)
})

describe('what is refused', () => {
  let pair: Pair
  beforeAll(async () => {
    pair = await startPair('refused', { looksFor: 'another' })
  })

  it('a primary, and a server that does not run', async () => {
    const { status, stderr } = await failover({ ...pair, standby: pair.primary })
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /the server of ".*" is not in recovery\n.*HINT: .*run this on the standby/,
    )
    const backup = await takeBackup(fleet, pair.primary, 'refused-copy')
    writeFileSync(join(backup, 'recovery.signal'), '')
    const stopped = await failover({ ...pair, standby: { ...pair.standby, dataDirectory: backup } })
    expect(stopped.status).toBe(1)
    expect(stopped.stderr).toContain(`no server runs on "${backup}"`)
  })

  it('without the setting there is no trigger file', async () => {
    const { status, stderr } = await failover({ ...pair, trigger: '' })
    expect(status).toBe(64)
    expect(stderr).toContain('fetch.trigger_file')
  })

  it('a file that is no trigger stays as it is; smart becomes fast, and never the other way round', async () => {
    const write = (content: string) => {
      writeFileSync(pair.trigger, content)
      ownByUnprivileged(pair.trigger)
    }
    write('notes\n')
    const refused = await failover(pair)
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain('is no trigger file')
    expect(readFileSync(pair.trigger, 'utf8')).toBe('notes\n')

    write('')
    const late = await failover(pair, ['--fast', '--timeout', '1s'])
    expect(late.stdout).toContain('is made fast')
    expect(late.stderr).toMatch(/restore_command looks for trigger file .*, not for/)
    expect(readFileSync(pair.trigger, 'utf8')).toBe('fast\n')
    expect(late.status).toBe(1)
    expect(late.stderr).toMatch(
      /was not promoted within 1 s\n.*HINT: .*Does restore_command look for this/,
    )
    const back = await failover(pair)
    expect(back.status).toBe(1)
    expect(back.stderr).toContain('asks for a fast failover already')
  })

  it('a server that ends is not waited for', async () => {
    rmSync(pair.trigger, { force: true })
    const waiting = failover(pair, ['--fast', '--timeout', '20s'])
    await waitFor('it was told', () => existsSync(pair.trigger))
    await pair.standby.stop('immediate')
    const { status, stderr } = await waiting
    expect(status).toBe(1)
    expect(stderr).toContain('the server ended before it was promoted')
  })
})
