import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { archiveSegment, endSegment, startFleet } from '../support/fleet.ts'
import { ownByUnprivileged } from '../support/folder.ts'
import { copiesOf } from '../support/rows.ts'

// Opening a pipe that nobody writes to blocks as a dead NFS mount does.
it('a push that a path never answers ends, with the next path or without', async () => {
  const fleet = await startFleet({ environment: { PGARCH_STALL_TIMEOUT: '300ms' } })
  const dead = join(await fleet.addPath('dead'), 'pgarch-path')
  await fleet.addPath('alive')
  const primary = await fleet.startPrimary('app', ['dead', 'alive'])
  renameSync(dead, `${dead}.away`)
  execFileSync('mkfifo', [dead])
  ownByUnprivileged(dead)
  // Ends what hangs all the same: for a moment there is a writer.
  onTestFinished(() => closeSync(openSync(dead, constants.O_RDWR)))

  const file = await archiveSegment(primary)
  expect(await copiesOf(fleet, 'app')).toEqual([{ file, path: 'alive' }])

  await fleet.admin('route', 'disable', 'app', 'alive')
  const next = await endSegment(primary)
  const pushed = await fleet.pgarch(['push', `pg_wal/${next}`, next], {
    cwd: primary.dataDirectory,
  })
  expect(pushed.status).toBe(1)
  expect(pushed.stderr).toMatch(/path "dead": no progress for 0.3 s\n.*no path .* took/s)
  await primary.stop('immediate')
})
