import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from './fleet.ts'
import { makeFolder } from './folder.ts'
import type { Server, ServerOptions } from './postgres.ts'
import { defaultVersion } from './postgres-versions.ts'
import { untilNothingLies } from './prefetch.ts'
import { countOf, startRestored, takeBackup } from './restored.ts'
import { type Sshd, startSshd } from './sshd.ts'

/** A cluster with a backup and much WAL behind it, and servers that recover from that. */
export interface RecoveryScene {
  readonly fleet: Fleet
  readonly sshd: Sshd
  /** Of the path, which is reached by SFTP. */
  readonly root: string
  readonly primary: Server
  /** Segments behind the backup, each with one row more of the table `numbers`. */
  readonly archived: string[]
  addRow(): Promise<void>
  /** Where a restored server's data directory can be. */
  newPlace(): string
  /**
   * A standby that stands still in the first segment behind the backup, which has been given to it, and
   * answers queries; until `letGo`.
   */
  hold(options?: ServerOptions & { place?: string }): Promise<Server>
  /** A standby, which ends with the test. */
  follow(options?: ServerOptions & { place?: string }): Promise<Server>
}

export async function setRecoveryScene(rows: number): Promise<RecoveryScene> {
  const fleet = await startFleet({ environment: { PGARCH_FETCH_PREFETCH: '8' } })
  const sshd = await startSshd({ folder: fleet.folder })
  const root = await fleet.addPath('berlin', { sshd })
  const primary = await fleet.startPrimary('app', ['berlin'], {
    environment: { PGARCH_PUSH_WORKER: 'on' },
  })
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'backup')
  const archived: string[] = []
  const scene: RecoveryScene = {
    fleet,
    sshd,
    root,
    primary,
    archived,
    async addRow() {
      await primary.query('insert into numbers values (1)')
      archived.push(await archiveSegment(primary))
    },
    newPlace: () => join(makeFolder(fleet.folder, `place-${randomUUID()}`), 'data'),
    async follow({ settings, place = scene.newPlace(), ...options } = {}) {
      execFileSync('cp', ['-a', backup, place])
      const standby = await startRestored(fleet, place, 'standby', {
        settings: { ...oneByOne, ...settings },
        ...options,
      })
      followers.push({ fleet, standby })
      return standby
    },
    async hold({ settings, ...options } = {}) {
      const standby = await scene.follow({ settings: { ...held, ...settings }, ...options })
      await waitFor('it is held', () => standby.log().includes(`"${archived[0]}" from archive`))
      return standby
    },
  }
  for (let row = 0; row < rows; row++) await scene.addRow()
  return scene
}

const followers: { fleet: Fleet; standby: Server }[] = []
afterEach(async () => {
  for (const { fleet, standby } of followers.splice(0)) {
    if (standby.isRunning) await standby.stop('immediate')
    await untilNothingLies(fleet, standby)
  }
})

// Else PostgreSQL 15 and later asks for the next segment before it has replayed one.
const oneByOne = defaultVersion().major >= 15 ? { recovery_prefetch: 'off' } : {}

/** Once it is consistent, it waits before every commit. */
const held = { recovery_min_apply_delay: '1h' }

/** What comes is replayed up to its first commit. */
export async function holdBackReplay(standby: Server): Promise<void> {
  await reload(standby, held)
}

export async function letGo(standby: Server): Promise<void> {
  await reload(standby, { recovery_min_apply_delay: '0' })
}

export async function reload(server: Server, settings: ServerOptions['settings']): Promise<void> {
  server.configure({ ...settings })
  await server.query('select pg_reload_conf()')
}

/** Until the table `numbers` has so many rows. */
export async function untilReplayed(server: Server, rows: number): Promise<void> {
  await waitFor(`it has ${rows} rows`, async () => (await countOf(server, 'numbers')) === rows)
}
