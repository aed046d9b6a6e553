import { beforeAll, expect, it } from 'vitest'
import {
  endNoisySegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
} from '../support/fleet.ts'
import { installation } from '../support/installation.ts'
import {
  countOf,
  isInRecovery,
  promote,
  startRestored,
  takeBackup,
  timelineOf,
  untilPrimary,
} from '../support/restored.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  archiveNumbers,
  processesOf,
  startSource,
  startWaiting,
  untilAtEnd,
  untilReplayed,
  untilWaiting,
} from '../support/waiting.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  // So that a slow machine is no outage.
  fleet = await startFleet({ environment: { PGARCH_SCHEDULE_TIMEOUT: '30s' } })
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})

it('a hot standby by log shipping replays each segment as it is archived; a smart trigger makes it a primary with all of them', async () => {
  const { primary, backup } = await startSource(fleet, 'hot', ['berlin'])
  const { server, trigger } = await startWaiting(fleet, backup, '--sleep 60')
  for (let segments = 1; segments <= 5; segments++) {
    await archiveNumbers(primary)
    await untilReplayed(server, 100 + segments * 100)
  }
  expect(await isInRecovery(server)).toBe(true)
  await archiveNumbers(primary)
  await primary.stop()
  trigger('')
  await untilPrimary(server)
  expect(await timelineOf(server)).toBe(2)
  await untilReplayed(server, 700)
  await server.query('insert into numbers values (1)')
})

it('a warm and a hot standby under load both come to what the primary wrote last', async () => {
  const { primary, backup } = await startSource(fleet, 'busy', ['berlin'])
  const second = await takeBackup(fleet, primary, 'busy-second', { includeWal: true })
  const hot = await startWaiting(fleet, backup)
  const warm = await startWaiting(fleet, second, '', {
    wait: false,
    settings: { hot_standby: 'off' },
  })
  for (let count = 0; count < 6; count++) await endNoisySegment(primary)
  await primary.query('insert into numbers select generate_series(1, 100)')
  const last = await endNoisySegment(primary)
  await untilArchived(primary, last)
  const noise = await countOf(primary, 'noise')
  await primary.stop()
  for (const { server, trigger } of [hot, warm]) {
    trigger('smart')
    await waitFor('it is a primary', () => server.log().includes('archive recovery complete'))
    await waitFor('it accepts connections', () =>
      server.log().includes('ready to accept connections'),
    )
    expect(await countOf(server, 'numbers')).toBe(200)
    expect(await countOf(server, 'noise')).toBe(noise)
    expect(server.log()).not.toContain('WARNING')
  }
})

it.each([
  ['limited', '--sleep 1 --max-wait 2'],
  ['letters', '-s 1 -w 2'], // pg_standby's
])('%s, %s: recovery ends by itself when no more WAL comes', async (name, options) => {
  const { primary, backup } = await startSource(fleet, name, ['berlin'])
  await archiveNumbers(primary)
  await primary.stop()
  const { server } = await startWaiting(fleet, backup, options)
  await untilPrimary(server)
  expect(await countOf(server, 'numbers')).toBe(200)
})

it('--restore-delay holds a segment back until it is so old', async () => {
  const { primary, backup } = await startSource(fleet, 'behind', ['berlin'])
  const { server } = await startWaiting(fleet, backup, '--sleep 1 --restore-delay 4s')
  const held = await archiveNumbers(primary)
  await waitFor('it is restored', () => server.log().includes(`restored log file "${held}"`))
  const [row] = await fleet.rows<{ age: number }>(
    `select extract(epoch from now() - create_time)::float8 as age from pgarch.arch_file
     where wal_name = $1 and db_id = (select id from pgarch.arch_db_info where name = 'behind')`,
    [held],
  )
  expect(row?.age).toBeGreaterThan(4)
})

it('a delayed standby is ended by smart with all that was held back', async () => {
  const { primary, backup } = await startSource(fleet, 'delayed', ['berlin'])
  const { server, trigger } = await startWaiting(fleet, backup, '--restore-delay 1h', {
    wait: false,
  })
  const held = await archiveNumbers(primary)
  await primary.stop()
  await untilWaiting(server)
  expect(server.log()).not.toContain(`restored log file "${held}"`)
  trigger('smart')
  await waitFor('it is a primary', () => server.log().includes('archive recovery complete'))
  await waitFor('it accepts connections', async () => {
    return (await countOf(server, 'numbers').catch(() => 0)) === 200
  })
})

it('fast leaves what is archived alone, and says the same whenever it is asked', async () => {
  const { primary, backup } = await startSource(fleet, 'hasty', ['berlin'])
  const first = await archiveNumbers(primary)
  // Old enough, by what the scheduling database says; what comes is not.
  await fleet.rows(`update pgarch.arch_file set create_time = now() - interval '1 day'`)
  const waiting = await startWaiting(fleet, backup, '--restore-delay 1h')
  const { server, trigger } = waiting
  await untilReplayed(server, 200)
  const held = await archiveNumbers(primary)
  await primary.stop()
  await untilWaiting(server, held)
  trigger('fast')
  await untilPrimary(server)
  expect(await countOf(server, 'numbers')).toBe(200)
  const ask = (walName: string) =>
    fleet.pgarch(['fetch', walName, 'pg_wal/RECOVERYXLOG', '--wait', '-t', waiting.triggerFile], {
      cwd: server.dataDirectory,
    })
  const onNewTimeline = held.replace(/^0{7}1/, '00000002')
  expect([(await ask(held)).status, (await ask(onNewTimeline)).status]).toEqual([1, 1])
  expect((await ask(first)).status).toBe(0)
  expect(processesOf(waiting)).toEqual([])
})

it('with standby.signal it never waits, so that a promotion is not held up', async () => {
  const { primary, backup } = await startSource(fleet, 'unheld', ['berlin'])
  await archiveNumbers(primary)
  await primary.stop()
  const { pgarch } = installation()
  const server = await startRestored(fleet, backup, 'standby', {
    settings: { restore_command: `"${pgarch}" fetch %f %p --wait` },
  })
  await untilReplayed(server, 200)
  await promote(server)
  expect(await timelineOf(server)).toBe(2)
})

it('recovery_prefetch is warned of, once', async () => {
  const { primary, backup } = await startSource(fleet, 'eager', ['berlin'])
  const { server, trigger } = await startWaiting(fleet, backup, '', {
    wait: false,
    settings: { recovery_prefetch: 'try' },
  })
  await untilWaiting(server)
  const warnings = () => server.log().split('recovery_prefetch is "try"').length - 1
  await waitFor('it is warned of', () => warnings() === 1)
  await archiveNumbers(primary)
  await archiveNumbers(primary)
  await untilAtEnd(fleet, 'eager', server)
  await primary.stop()
  trigger('smart')
  await waitFor('it is a primary', () => server.log().includes('archive recovery complete'))
  expect(warnings()).toBe(1)
})
