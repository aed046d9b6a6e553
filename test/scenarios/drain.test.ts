import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { ownByUnprivileged } from '../support/folder.ts'
import { occupy, startHost } from '../support/local-archive-host.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_SCHEDULE_TIMEOUT: '1s' } })
})

describe('a file that cannot be drained stays, and does not block the others', () => {
  it('another server claimed its name with other content, during an outage', async () => {
    const host = await startHost(fleet, 'claimed')
    await host.unplug()
    await fleet.schedule.stop('immediate')
    const [refused, good] = [await archiveSegment(host.primary), await archiveSegment(host.primary)]
    await fleet.schedule.start()
    await fleet.rows(
      `insert into pgarch.arch_file (db_id, wal_name, sha256, wal_size_bytes, member_id)
       select $1, $2, sha256('other'), 1, gen_random_uuid()`,
      [host.fingerprint, refused],
    )
    await host.plugIn()
    await host.wake()
    const next = await archiveSegment(host.primary)
    await waitFor('the other is drained', async () => (await host.listed()).length === 1)
    expect(await host.listed()).toEqual([refused])
    expect(await host.copies(good)).toEqual([{ path: 'claimed', member: null }])
    expect(await host.copies(next)).toEqual([{ path: 'claimed', member: null }])
    expect(await host.copies(refused)).toEqual([])
    expect(host.primary.log()).toContain(`ERROR:  "${refused}" stays in the local archive`)
    await host.primary.stop('immediate')
  })

  it('the path holds other content under its name', async () => {
    const host = await startHost(fleet, 'occupied')
    await host.unplug()
    const [refused, good] = [await archiveSegment(host.primary), await archiveSegment(host.primary)]
    await host.plugIn()
    await occupy(fleet, host, refused)
    const before = readFileSync(host.inLocal(refused))
    const drain = await host.pgarch('local', 'drain')
    expect(drain).toMatchObject({ status: 1, stdout: '1 file was brought to a path.\n' })
    expect(drain.stderr).toContain(`"${refused}" stays in the local archive`)
    expect(await host.listed()).toEqual([refused])
    expect(readFileSync(host.inLocal(refused))).toEqual(before)
    expect(await host.copies(good)).toEqual([{ path: 'occupied', member: null }])
    const json = await host.pgarch('local', 'drain', '--json')
    expect(JSON.parse(json.stdout)).toEqual({
      drained: [],
      stayed: [{ walName: refused, failure: 'conflict', message: expect.any(String) }],
      stopped: null,
    })
    const conflicts = await fleet.rows(
      'select times::int from pgarch.arch_conflict where db_id = $1 and wal_name = $2',
      [host.fingerprint, refused],
    )
    expect(conflicts).toEqual([{ times: 2 }])
    await host.primary.stop('immediate')
  })

  it('its bytes were damaged', async () => {
    const host = await startHost(fleet, 'damaged')
    await host.unplug()
    const [bad, good] = [await archiveSegment(host.primary), await archiveSegment(host.primary)]
    await host.plugIn()
    await truncate(host.inLocal(bad), 600)
    const drain = await host.pgarch('local', 'drain')
    expect(drain.status).toBe(1)
    expect(drain.stderr).toContain('is damaged')
    expect(await host.listed()).toEqual([bad])
    expect(existsSync(host.onPath(bad))).toBe(false)
    expect(await host.copies(good)).toEqual([{ path: 'damaged', member: null }])
    await host.primary.stop('immediate')
  })

  it('it is of a cluster that this data directory was before', async () => {
    const host = await startHost(fleet, 'before')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    const old = host.inLocal(file).replace(host.fingerprint, randomUUID())
    await mkdir(dirname(old), { recursive: true })
    await rename(host.inLocal(file), old)
    ownByUnprivileged(dirname(old))
    await host.plugIn()
    const drain = await host.pgarch('local', 'drain')
    expect(drain.status).toBe(1)
    expect(drain.stderr).toMatch(/it is of the cluster with fingerprint .*\n.*HINT.*Copy/)
    await host.wake()
    await archiveSegment(host.primary)
    expect(await host.listed()).toEqual([file])
    expect(existsSync(host.onPath(file))).toBe(false)
    await host.primary.stop('immediate')
  })

  it('the local archive holds other content than PostgreSQL hands over: push fails', async () => {
    const host = await startHost(fleet, 'two')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    const copy = join(host.primary.dataDirectory, 'pg_wal', file)
    const bytes = readFileSync(copy)
    await fleet.schedule.stop('immediate') // it would refuse the claim
    expect(await host.pgarch('push', `pg_wal/${file}`, file)).toMatchObject({ status: 0 })
    bytes.writeUInt8(7, bytes.length - 1)
    await writeFile(copy, bytes)
    const other = await host.pgarch('push', `pg_wal/${file}`, file)
    expect(other.status).toBe(1)
    expect(other.stderr).toContain('ERROR:  path "local archive" holds other content')
    await fleet.schedule.start()
    await host.primary.stop('immediate')
  })
})

describe('draining', () => {
  it('goes on where a killed one stopped: after the copy, after the record', async () => {
    const host = await startHost(fleet, 'killed')
    await host.unplug()
    const [copied, recorded] = [
      await archiveSegment(host.primary),
      await archiveSegment(host.primary),
    ]
    await host.plugIn()
    const kept = `${host.inLocal(recorded)}.kept`
    await copyFile(host.inLocal(recorded), kept)
    await mkdir(dirname(host.onPath(copied)), { recursive: true })
    await copyFile(host.inLocal(copied), host.onPath(copied))
    expect((await host.pgarch('local', 'drain')).status).toBe(0)
    await rename(kept, host.inLocal(recorded))
    expect(await host.listed()).toEqual([recorded])
    expect((await host.pgarch('local', 'drain')).status).toBe(0)
    expect(await host.listed()).toEqual([])
    for (const file of [copied, recorded]) {
      expect(await host.copies(file)).toEqual([{ path: 'killed', member: null }])
    }
    await host.primary.stop('immediate')
  })

  it('leaves a file whose copy can be recorded nowhere', async () => {
    const host = await startHost(fleet, 'unrecorded')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    await host.plugIn()
    await fleet.schedule.stop('immediate')
    await writeFile(join(host.state, 'journal'), 'in the way')
    const drain = await host.pgarch('local', 'drain')
    expect(drain).toMatchObject({ status: 1, stderr: expect.stringContaining('journal') })
    expect(existsSync(host.onPath(file))).toBe(true)
    expect(await host.listed()).toEqual([file])
    await rm(join(host.state, 'journal'))
    await fleet.schedule.start()
    expect((await host.pgarch('local', 'drain')).status).toBe(0)
    expect(await host.copies(file)).toEqual([{ path: 'unrecorded', member: null }])
    await host.primary.stop('immediate')
  })

  it('is done by many at a time, pushes among them, once', async () => {
    const host = await startHost(fleet, 'many')
    await host.unplug()
    const files: string[] = []
    for (let count = 0; count < 6; count++) files.push(await archiveSegment(host.primary))
    await host.plugIn()
    await host.wake()
    const drains = ['drain', 'drain', 'drain'].map((word) => host.pgarch('local', word, '--json'))
    const last = await archiveSegment(host.primary)
    const answers = (await Promise.all(drains)).map(({ stdout }) => JSON.parse(stdout))
    expect(answers.flatMap(({ stayed }) => stayed)).toEqual([])
    expect(answers.map(({ stopped }) => stopped)).toEqual([null, null, null])
    expect(await host.listed()).toEqual([])
    for (const file of [...files, last]) {
      expect(await host.copies(file)).toEqual([{ path: 'many', member: null }])
    }
    const drained = await fleet.rows<{ count: number }>(
      'select count(*)::int from pgarch.arch_local_log where db_id = $1 and not status',
      [host.fingerprint],
    )
    expect(drained).toEqual([{ count: 6 }])
    await host.primary.stop('immediate')
  })

  it('stops at once while no path takes a file, and while the cluster is paused', async () => {
    const host = await startHost(fleet, 'stuck')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    const nowhere = await host.pgarch('local', 'drain')
    expect(nowhere).toMatchObject({ status: 1, stdout: '0 files were brought to a path.\n' })
    expect(nowhere.stderr).toContain('no path of cluster "stuck" took')
    await host.plugIn()
    for (const words of [['pause'], ['stop', '--yes-lose-wal']]) {
      const [word = '', ...more] = words
      await fleet.admin('cluster', word, 'stuck', ...more)
      const refused = await host.pgarch('local', 'drain')
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(`at ${word}`) })
    }
    expect(await host.listed()).toEqual([file])
    expect(
      await fleet.rows('select from pgarch.arch_gap where db_id = $1', [host.fingerprint]),
    ).toEqual([])
    await host.primary.stop('immediate')
  })

  it('by a host that registered again since clears what it told before', async () => {
    const host = await startHost(fleet, 'again')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    await rm(join(host.state, 'member.json'))
    const { dataDirectory } = host.primary
    await fleet.admin('register', '--member', '--pgdata', dataDirectory, '--pguser', 'postgres')
    expect(await host.fetch(file)).toMatchObject({ status: 0 })
    await host.plugIn()
    expect((await host.pgarch('local', 'drain')).status).toBe(0)
    expect(await host.copies(file)).toEqual([{ path: 'again', member: null }])
    await host.primary.stop('immediate')
  })
})
