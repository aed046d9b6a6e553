import { afterEach, beforeAll, expect, it } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { isInRecovery, untilPrimary } from '../support/restored.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  archiveNumbers,
  startSource,
  startWaiting,
  untilAtEnd,
  untilReplayed,
} from '../support/waiting.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  // So that a slow machine is no outage.
  fleet = await startFleet({ environment: { PGARCH_SCHEDULE_TIMEOUT: '30s' } })
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})

afterEach(async () => {
  if (!fleet.schedule.isRunning) await fleet.schedule.start()
  if (sshd.pid === undefined) await sshd.restart()
})

it('it waits through a dead path and a dead scheduling database, tells of each once, and goes on by itself', async () => {
  const { primary, backup } = await startSource(fleet, 'patient', ['berlin'])
  const { server, trigger } = await startWaiting(fleet, backup, '--sleep 1')
  await archiveNumbers(primary)
  await untilReplayed(server, 200)
  await untilAtEnd(fleet, 'patient', server)
  const outages = () => server.log().split('cannot tell whether').length - 1
  const ends = () => server.log().split('can tell again whether').length - 1

  sshd.kill()
  await waitFor('it noticed the path', () => outages() === 1)
  await primary.query('insert into numbers select generate_series(1, 100)')
  const meanwhile = await endSegment(primary)
  await sshd.restart()
  await wakeArchiver(primary)
  await untilArchived(primary, meanwhile)
  await untilReplayed(server, 300)
  expect([outages(), ends()]).toEqual([1, 1])

  await untilAtEnd(fleet, 'patient', server)
  await fleet.schedule.stop('immediate')
  await waitFor('it noticed the database', () => outages() === 2)
  await primary.query('insert into numbers select generate_series(1, 100)')
  await archiveSegment(primary)
  expect(await isInRecovery(server)).toBe(true)
  await fleet.schedule.start()
  await untilReplayed(server, 400)
  expect([outages(), ends()]).toEqual([2, 2])
  expect(server.log()).not.toContain('FATAL')
  await primary.stop()
  trigger('smart')
  await untilPrimary(server)
  await untilReplayed(server, 400)
})
