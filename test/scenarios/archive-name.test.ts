import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  archiveSegment,
  endRests,
  endSegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'
import type { Server } from '../support/postgres.ts'
import { childrenOf } from '../support/processes.ts'
import { triesOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  archiverFailures,
  stateOf,
  untilWorkerEnds,
  untilWorking,
  workerLog,
} from '../support/worker.ts'

// The archive server has a name, and machines at 127.0.0.2 and up that take its part.

const folder = temporaryFolder('named')
afterAll(folder.remove)

let named: Named
let fleet: Fleet
const servers: Server[] = []

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('the archive has a name', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path)
    fleet = await startFleet({ environment: { PGARCH_DNS_SERVERS: named.server } })
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      if (server.isRunning) await server.stop('immediate')
      await untilWorkerEnds(fleet, server)
    }
  })
  afterAll(() => named.stop())

  const nameOf = (path: string) => `${path}.${named.zone}`

  /** A path of that name on a server of its own, and a cluster that archives there. */
  async function setUp(name: string, environment: Record<string, string> = {}) {
    const sshd = await startSshd({ folder: fleet.folder, address: '127.0.0.2' })
    await named.update(`add ${name} 1 A ${sshd.host}`)
    await fleet.addPath(name, { sshd, host: nameOf(name) })
    const primary = await fleet.startPrimary(name, [name], { environment })
    servers.push(primary)
    await archiveSegment(primary)
    return { sshd, primary }
  }

  const another = (sshd: Sshd, address = '127.0.0.3') =>
    startSshd({ folder: fleet.folder, address, like: sshd })

  function kept(server: Server, name: string): string | undefined {
    const file = stateOf(fleet, server, 'names', `${nameOf(name)}.json`)
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).answer : undefined
  }

  /** What a change of address must leave as it is. */
  const told = async (name: string) =>
    await fleet.rows(
      `select p.*, d.route_version from pgarch.arch_path_info p, pgarch.arch_db_info d
       where p.name = $1 and d.name = $1`,
      [name],
    )

  it('it moves while the worker is at work: connections follow at the time to live, the database is left alone', async () => {
    const { sshd, primary } = await setUp('moving', { PGARCH_PUSH_WORKER: 'on' })
    await untilWorking(fleet, primary)
    const before = await told('moving')
    const failures = await archiverFailures(primary)
    expect(kept(primary, 'moving')).toBe('127.0.0.2')

    const next = await another(sshd)
    await named.update('delete moving A', 'add moving 1 A 127.0.0.3')
    // The old one answers still; each segment is asked for while the connection is kept.
    await waitFor('nobody is at the old one', async () => {
      await archiveSegment(primary)
      return childrenOf(sshd.pid ?? 0).length === 0
    })
    expect(childrenOf(next.pid ?? 0).length).toBeGreaterThan(0)
    await sshd.stop()
    await archiveSegment(primary)
    expect(kept(primary, 'moving')).toBe('127.0.0.3')
    expect(await told('moving')).toEqual(before)
    expect((await triesOf(fleet, 'moving')).filter(({ stored }) => !stored)).toEqual([])
    expect(await archiverFailures(primary)).toBe(failures)
    expect(workerLog(fleet, primary)).toBe('')
  })

  it('it is dead, and comes up at another address: archiving goes on there by itself', async () => {
    const { sshd, primary } = await setUp('reborn')
    await sshd.stop()
    const waiting = await endSegment(primary)
    await waitFor('it fails', async () => (await archiverFailures(primary)) > 0)
    await another(sshd)
    await named.update('delete reborn A', 'add reborn 1 A 127.0.0.3')
    endRests(fleet, primary)
    await wakeArchiver(primary)
    await untilArchived(primary, waiting)
  })

  it('one of its addresses is dead, and the server of another hangs: nothing fails', async () => {
    const { sshd, primary } = await setUp('several')
    const [hanging, living] = await Promise.all(
      ['127.0.0.3', '127.0.0.4'].map((address) => another(sshd, address)),
    )
    const others = ['127.0.0.5', '127.0.0.3', '127.0.0.4']
    await sshd.stop()
    hanging?.freeze()
    onTestFinished(() => hanging?.thaw())
    await named.update(...others.map((address) => `add several 1 A ${address}`))
    for (let segments = 0; segments < 2; segments++) await archiveSegment(primary)
    expect(kept(primary, 'several')).toBe(living?.host)
    expect((await triesOf(fleet, 'several')).filter(({ stored }) => !stored)).toEqual([])
  })

  it.each([
    ['is down', () => named.stop()],
    ['hangs', async () => named.freeze()],
    ['no longer knows the name', () => named.update('delete outage A')],
  ])(
    'the resolver %s: archiving and restoring go on by the last address',
    async (_title, begin) => {
      const { sshd, primary } = existing ?? (await setUp('outage'))
      existing = { sshd, primary }
      servers.splice(0)
      onTestFinished(async () => {
        named.thaw()
        await named.stop()
        await named.start()
        await named.update('delete outage A', 'add outage 1 A 127.0.0.2')
      })
      const before = primary.log().length
      await begin()
      const segment = await archiveSegment(primary)
      expect(primary.log().slice(before)).toContain(
        'going on with the last address that worked, 127.0.0.2',
      )
      const fetched = await fleet.pgarch(['fetch', segment, 'pg_wal/RECOVERYXLOG'], {
        cwd: primary.dataDirectory,
      })
      expect(fetched).toMatchObject({ status: 0 })
      expect(fetched.stderr).toContain('going on with the last address that worked')
      rmSync(join(primary.dataDirectory, 'pg_wal', 'RECOVERYXLOG'))
      expect((await triesOf(fleet, 'outage')).filter(({ stored }) => !stored)).toEqual([])
    },
  )
  let existing: { sshd: Sshd; primary: Server } | undefined

  it('somebody else has its address now: the pinned host key says so, and nothing is sent', async () => {
    const { sshd, primary } = await setUp('taken')
    await sshd.stop()
    const stranger = await another(sshd)
    await stranger.restart({ newHostKey: true })
    await named.update('delete taken A', 'add taken 1 A 127.0.0.3')
    await endSegment(primary)
    await waitFor('it is refused', () => primary.log().includes('the host key has changed'))
    expect(kept(primary, 'taken')).toBe('127.0.0.2')
  })
})
