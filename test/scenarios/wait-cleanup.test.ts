import { existsSync } from 'node:fs'
import { beforeAll, expect, it } from 'vitest'
import { type Fleet, startFleet, storedFile, waitFor } from '../support/fleet.ts'
import { fingerprintOf } from '../support/rows.ts'
import { archiveNumbers, startSource, startWaiting, untilReplayed } from '../support/waiting.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
})

/** A standby with an archive of its own, and five segments behind its backup. */
async function standbyWithArchive(name: string, options: string) {
  const root = await fleet.addPath(name)
  const { primary, backup } = await startSource(fleet, name, [name])
  const fingerprint = await fingerprintOf(fleet, name)
  await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
  const segments: string[] = []
  for (let count = 0; count < 5; count++) segments.push(await archiveNumbers(primary))
  const { server } = await startWaiting(fleet, backup, options, {
    environment: { PGARCH_CLEANUP_PATH: name },
  })
  await untilReplayed(server, 600)
  const isThere = (segment: string) => existsSync(storedFile(root, fingerprint, segment))
  return { server, segments, isThere }
}

it.each([
  ['kept', '--keep 2'],
  ['letters', '-c -l -d -r 3 -s 5 -w 0 -k 2'], // pg_standby's
])(
  '%s, %s: once a segment was given, what comes before the two in front of it is gone',
  async (name, options) => {
    const { segments, isThere } = await standbyWithArchive(name, options)
    await waitFor('it is cleaned up', () => !isThere(segments[1] ?? ''))
    expect(segments.map(isThere)).toEqual([false, false, true, true, true])
  },
)

it('%r: what is needed after a restartpoint stays', async () => {
  const { server, segments, isThere } = await standbyWithArchive('restarted', '%r')
  // There was none since the backup.
  expect(segments.map(isThere)).toEqual([true, true, true, true, true])
  expect(server.log()).not.toContain('WARNING')
})
