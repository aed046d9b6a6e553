import { execFileSync } from 'node:child_process'
import { beforeAll, expect, it } from 'vitest'
import { endSegment, type Fleet, startFleet, untilArchived } from '../support/fleet.ts'
import { countOf, isInRecovery, promote, startRestored, untilPrimary } from '../support/restored.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import {
  archiveNumbers,
  startSource,
  startWaiting,
  untilAtEnd,
  untilReplayed,
} from '../support/waiting.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
})

it('another standby is promoted: a server that waits on the old timeline stops, and follows the new one when it is started again', async () => {
  const { primary, backup } = await startSource(fleet, 'forked', ['berlin'])
  const second = `${backup}-second`
  execFileSync('cp', ['-a', backup, second], asUnprivileged())
  await fleet.admin('register', '--member', '--offline', '--pgdata', second)
  const { server, trigger } = await startWaiting(fleet, backup, '--sleep 60')
  await archiveNumbers(primary)
  await untilReplayed(server, 200)
  await untilAtEnd(fleet, 'forked', server)
  await primary.stop()

  const other = await startRestored(fleet, second, 'standby', {
    settings: { ...fleet.archiveSettings },
  })
  await untilReplayed(other, 200)
  await promote(other)
  await server.ended()
  expect(server.log()).toMatch(/timeline 2 branched off in "\w{24}", .*: the server stops/)
  expect(server.log()).not.toContain('archive recovery complete')

  await other.query('insert into numbers select generate_series(1, 11)')
  await untilArchived(other, await endSegment(other))
  await server.start()
  await untilReplayed(server, 211)
  expect(await isInRecovery(server)).toBe(true)
  await other.stop()
  trigger('smart')
  await untilPrimary(server)
  expect(await countOf(server, 'numbers')).toBe(211)
})
