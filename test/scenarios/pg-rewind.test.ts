import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { defaultVersion } from '../support/postgres-versions.ts'
import {
  countOf,
  isInRecovery,
  promote,
  startRestored,
  streamingFrom,
  takeBackup,
} from '../support/restored.ts'
import { startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin', { sshd: await startSshd({ folder: fleet.folder }) })
})

const pgRewind = join(defaultVersion().bin, 'pg_rewind')

it.skipIf(!existsSync(pgRewind))(
  'the old primary is rewound with WAL that only the archive still has, and follows the new one',
  async () => {
    const settings = { wal_log_hints: true, wal_keep_size: 0, max_wal_size: '2MB' }
    const old = await fleet.startPrimary('app', ['berlin'], {
      settings: { ...settings, ...fleet.restoreSettings },
    })
    await old.query('create table numbers (n int); insert into numbers values (1)')
    const backup = await takeBackup(fleet, old, 'new-primary')
    await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
    const next = await startRestored(fleet, backup, 'standby', {
      settings: { ...settings, ...fleet.archiveSettings, primary_conninfo: streamingFrom(old) },
    })
    await waitFor('it streams', async () => (await countOf(next, 'numbers')) === 1)
    await promote(next)
    await next.query('checkpoint; insert into numbers select generate_series(1, 10)')
    await archiveSegment(next)

    // A split brain: the old primary goes on for some segments, which then are nowhere but archived.
    for (let segment = 0; segment < 3; segment++) {
      await old.query('insert into numbers select generate_series(1, 1000)')
      await archiveSegment(old)
    }
    await old.query('checkpoint')
    await old.stop('fast')
    await next.stop('fast')
    const walDirectory = join(old.dataDirectory, 'pg_wal')
    const isSegment = (name: string) => /^00000001[0-9A-F]{16}$/.test(name)
    const segments = readdirSync(walDirectory).filter(isSegment).sort()
    const archivedBefore = segments.filter((name) =>
      existsSync(join(walDirectory, 'archive_status', `${name}.done`)),
    )
    for (const name of archivedBefore.slice(0, -1)) rmSync(join(walDirectory, name))

    execFileSync(
      pgRewind,
      ['-c', '-D', old.dataDirectory, '--source-pgdata', backup, '--no-sync'],
      {
        cwd: makeFolder(fleet.folder, 'elsewhere'),
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...fleet.environment },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        ...asUnprivileged(),
      },
    )

    await next.start()
    await next.query('insert into numbers values (12)')
    await archiveSegment(next)
    const follower = await startRestored(fleet, old.dataDirectory, 'standby', { settings })
    await waitFor('it follows', async () => (await countOf(follower, 'numbers')) === 12)
    expect(await isInRecovery(follower)).toBe(true)
  },
)
