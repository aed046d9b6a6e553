import { beforeAll, expect, it, onTestFinished } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
} from '../support/fleet.ts'
import { serverVersions } from '../support/postgres.ts'
import {
  countOf,
  isInRecovery,
  promote,
  startRestored,
  takeBackup,
  timelineOf,
} from '../support/restored.ts'
import { conflictsOf, copiesOf, filesOf, triesOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_FETCH_STANDBY_DEADLINE: '1s' } })
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})

/** A primary with a table of 100 numbers in its backup, and 200 more in the archive alone. */
async function startArchived(name: string, options: Parameters<Fleet['startPrimary']>[2] = {}) {
  const primary = await fleet.startPrimary(name, ['berlin'], options)
  await primary.query('create table numbers (n int)')
  await primary.query('insert into numbers select generate_series(1, 100)')
  const backup = await takeBackup(fleet, primary, `${name}-backup`, { includeWal: true })
  for (let segment = 0; segment < 2; segment++) {
    await primary.query('insert into numbers select generate_series(1, 100)')
    await archiveSegment(primary)
  }
  return { primary, backup }
}

it.each(serverVersions())(
  'PostgreSQL $major: the path is out of reach, and a standby serves queries, asks again, and goes on when it is back',
  async (version) => {
    const name = `patient${version.major}`
    const { backup } = await startArchived(name, { version })
    onTestFinished(() => sshd.restart())
    sshd.kill()
    const standby = await startRestored(fleet, backup, 'standby', { version })
    const asked = () => standby.log().match(/could not connect to .*ECONNREFUSED/g)?.length ?? 0
    await waitFor('it asked more than once', () => asked() > 2)
    expect(await countOf(standby, 'numbers')).toBe(100)
    expect(await isInRecovery(standby)).toBe(true)

    await sshd.restart()
    await waitFor('it has all', async () => (await countOf(standby, 'numbers')) === 300)
    expect(await isInRecovery(standby)).toBe(true)
    expect(standby.log()).not.toContain('FATAL')
    await standby.stop('immediate')
  },
)

it('a standby is promoted while the path hangs', async () => {
  const { primary, backup } = await startArchived('urgent')
  await primary.stop('fast')
  const standby = await startRestored(fleet, backup, 'standby')
  await waitFor('it has all', async () => (await countOf(standby, 'numbers')) === 300)
  sshd.freeze()
  onTestFinished(() => sshd.thaw())
  await promote(standby)
  expect(await timelineOf(standby)).toBe(2)
  expect(await countOf(standby, 'numbers')).toBe(300)
  await standby.query('insert into numbers values (301)')
})

it('archive_mode=always: a standby pushes what the primary pushed into the same archive, without a conflict; a second follows it to its timeline', async () => {
  const { primary, backup } = await startArchived('pair')
  const second = await takeBackup(fleet, primary, 'pair-second', { includeWal: true })
  const last = await archiveSegment(primary)
  await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
  const always = await startRestored(fleet, backup, 'standby', {
    settings: { ...fleet.archiveSettings, archive_mode: 'always' },
  })
  await untilArchived(always, last)

  const tries = await triesOf(fleet, 'pair')
  expect(tries.filter(({ file }) => file === last)).toHaveLength(2)
  expect(tries.filter(({ stored }) => !stored)).toEqual([])
  expect(always.log()).toContain(`"${last}" was already archived on path "berlin"`)
  expect(await conflictsOf(fleet, 'pair')).toEqual([])
  const files = await filesOf(fleet, 'pair')
  expect(await copiesOf(fleet, 'pair')).toEqual(files.map(({ file }) => ({ file, path: 'berlin' })))

  const follower = await startRestored(fleet, second, 'standby')
  await waitFor('it has all', async () => (await countOf(follower, 'numbers')) === 300)
  await primary.stop('fast')
  await promote(always)
  await always.query('insert into numbers select generate_series(1, 11)')
  const onNewTimeline = await endSegment(always)
  expect(onNewTimeline).toMatch(/^00000002/)
  await untilArchived(always, onNewTimeline)
  await waitFor('it follows', async () => (await countOf(follower, 'numbers')) === 311)
  expect(await isInRecovery(follower)).toBe(true)
  expect(follower.log()).toContain('new target timeline is 2')
})
