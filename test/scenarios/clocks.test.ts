import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Clock, canShiftClocks, makeClock } from '../support/clock.ts'
import { archiveSegment, type Fleet, startFleet, wakeArchiver } from '../support/fleet.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Server, startServer } from '../support/postgres.ts'

const hour = 3_600_000

describe.skipIf(!canShiftClocks)('clocks are set an hour back and forth', () => {
  const folder = temporaryFolder('clocks')
  let fleet: Fleet
  let primary: Server
  /** Of pgarch on the host, and of the scheduling database. */
  let host: Clock
  let database: Clock

  beforeAll(async () => {
    host = makeClock(folder.path, 'host')
    database = makeClock(folder.path, 'database')
    fleet = await startFleet({ schedule: await startServer({ environment: database.environment }) })
    await fleet.addPath('berlin')
    const words = Object.entries(host.environment).map(([name, value]) => `'${name}=${value}'`)
    const command = `env ${words.join(' ')} ${fleet.archiveSettings.archive_command}`
    const settings = { archive_command: command }
    primary = await fleet.startPrimary('app', ['berlin'], { settings })
    await archiveSegment(primary)
  })
  afterAll(folder.remove)

  interface Status {
    readonly lastWalName: string
    readonly lastArchivedTime: string
    readonly failures: number
    readonly members: { lastSeen: string }[]
  }

  async function status(): Promise<Status> {
    const { stdout } = await fleet.pgarch(['status', 'app', '--json'], { admin: true })
    return JSON.parse(stdout)[0]
  }

  /** How often each file's success was logged. */
  async function logged(): Promise<[string, number][]> {
    const rows = await fleet.rows<{ name: string; times: number }>(
      `select wal_name as name, count(*)::int as times from pgarch.arch_remote_log
       where status group by 1 order by 1`,
    )
    return rows.map(({ name, times }) => [name, times])
  }

  async function journalLength(): Promise<number> {
    const { stdout } = await fleet.pgarch(['status', '--host', '--json'])
    return JSON.parse(stdout)[0].journalLength
  }

  const isOff = (time: Date | string | undefined) =>
    Math.abs(new Date(time ?? 0).getTime() - Date.now()) > hour / 2

  it.each(['-1h', '+1h'])(
    "the host's clock goes %s: what it archives is the newest",
    async (set) => {
      host.set(set)
      const name = await archiveSegment(primary)
      const shifted = await status()
      host.set('+0')
      expect(shifted).toMatchObject({ lastWalName: name, failures: 0 })
      expect(isOff(shifted.lastArchivedTime)).toBe(false)
      const [log] = await fleet.rows<{ host_time: Date }>(
        'select host_time from pgarch.arch_remote_log where wal_name = $1',
        [name],
      )
      expect(isOff(log?.host_time)).toBe(true)
      const next = await archiveSegment(primary)
      expect(await status()).toMatchObject({ lastWalName: next, failures: 0 })
    },
  )

  it('through an outage, back and forth: every record is delivered once', async () => {
    await fleet.schedule.stop()
    const names: string[] = []
    for (const offset of ['+0', '+1h', '-1h', '+0', '+1h']) {
      host.set(offset)
      names.push(await archiveSegment(primary))
    }
    await fleet.schedule.start()
    // The outage was noted last an hour from now: the database must not rest so long.
    host.set('+0')
    expect(await journalLength()).toBe(names.length)
    names.push(await archiveSegment(primary))
    expect(await journalLength()).toBe(0)
    expect(await logged()).toEqual(expect.arrayContaining(names.map((name) => [name, 1])))
    expect(await status()).toMatchObject({ lastWalName: names.at(-1), failures: 0 })
  })

  it.each(['-1h', '+1h'])(
    'a path fails while the clock is %s: that shows, and ends',
    async (set) => {
      const root = join(fleet.folder, 'berlin')
      renameSync(root, `${root}.away`)
      host.set(set)
      const archived = archiveSegment(primary)
      await expect
        .poll(async () => (await status()).failures, { timeout: 60_000 })
        .toBeGreaterThan(0)
      host.set('+0')
      renameSync(`${root}.away`, root)
      await wakeArchiver(primary)
      const name = await archived
      expect(await status()).toMatchObject({ lastWalName: name, failures: 0 })
    },
  )

  it.each(['+1h', '-1h'])("the database's clock goes %s, and is right again", async (set) => {
    database.set(set)
    const [moment] = await fleet.rows<{ now: Date }>('select clock_timestamp() as now')
    expect(isOff(moment?.now)).toBe(true)
    const during = await archiveSegment(primary)
    expect(await status()).toMatchObject({ lastWalName: during, failures: 0 })
    database.set('+0')
    const after = await archiveSegment(primary)
    const now = await status()
    expect(now).toMatchObject({ lastWalName: after, failures: 0 })
    expect(isOff(now.lastArchivedTime)).toBe(false)
    expect(isOff(now.members[0]?.lastSeen)).toBe(false)
    for (const name of [during, after]) expect(await logged()).toContainEqual([name, 1])
  })
})
