import { existsSync, readdirSync, statSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { mountSmallDisk } from '../stores/small-disk.ts'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { startHost } from '../support/local-archive-host.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_SCHEDULE_TIMEOUT: '1s' } })
})

describe('no path takes a file', () => {
  it('it goes to the local archive, is known everywhere, fetched here, and drained when a path is back', async () => {
    const host = await startHost(fleet, 'away')
    expect(existsSync(join(host.localRoot, 'pgarch-path'))).toBe(true)
    await host.unplug()
    const files = [await archiveSegment(host.primary), await archiveSegment(host.primary)]
    const [one = ''] = files
    expect(host.primary.log()).toContain(`no path took "${one}": it is archived on this host alone`)
    expect(host.primary.log()).toContain('"pgarch local drain" does it at once')
    expect(await host.listed()).toEqual(files)
    for (const file of files) {
      expect(await host.copies(file)).toEqual([{ path: null, member: expect.any(String) }])
      expect(await host.logged(file)).toEqual([{ status: true }])
    }
    const status = await fleet.pgarch(['status', 'away'], { admin: true })
    expect(status).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('2 files only in a local archive'),
    })

    const content = host.segment(one)
    expect(await host.fetch(one)).toEqual({ status: 0, content, stderr: '' })
    const elsewhere = join(fleet.folder, 'elsewhere')
    const doubtful = await fleet.pgarch(['fetch', one, elsewhere, '--cluster', 'away'])
    expect(doubtful.status).toBe(200)
    expect(doubtful.stderr).toContain(`"${one}" lies in the local archive of host`)
    expect(existsSync(elsewhere)).toBe(false)

    await host.plugIn()
    await host.wake()
    const last = await archiveSegment(host.primary)
    await waitFor('all is drained', async () => (await host.listed()).length === 0)
    for (const file of [...files, last]) {
      expect(await host.copies(file)).toEqual([{ path: 'away', member: null }])
    }
    expect(await host.logged(one)).toEqual([{ status: true }, { status: false }])
    expect(await host.fetch(one)).toMatchObject({ status: 0, content })
    expect((await fleet.pgarch(['status', 'away'], { admin: true })).status).toBe(0)
    await host.primary.stop('immediate')
  })

  it('nor does the scheduling database answer: the file is fetched here, and all is told later', async () => {
    const host = await startHost(fleet, 'dark')
    await host.unplug()
    await fleet.schedule.stop('immediate')
    const file = await archiveSegment(host.primary)
    const content = host.segment(file)
    expect(await host.listed()).toEqual([file])
    expect(await host.fetch(file)).toMatchObject({ status: 0, content })
    expect((await host.fetch('0000000100000000000000F0')).status).toBe(200)
    const status = await host.pgarch('status', '--host', '--json')
    expect(status.status).toBe(1)
    expect(JSON.parse(status.stdout)).toContainEqual(
      expect.objectContaining({
        ...{ clusterName: 'dark', journalLength: 1, localFiles: 1, error: null },
        localOldest: statSync(host.inLocal(file)).mtime.toISOString(),
      }),
    )

    await host.plugIn()
    const drain = await host.pgarch('local', 'drain')
    expect(drain).toMatchObject({ status: 0, stdout: '1 file was brought to a path.\n' })
    expect(existsSync(host.onPath(file))).toBe(true)
    expect(existsSync(host.inLocal(file))).toBe(false)

    await fleet.schedule.start()
    await host.pgarch('journal', 'flush')
    expect(await host.copies(file)).toEqual([{ path: 'dark', member: null }])
    expect(await host.logged(file)).toEqual([{ status: true }, { status: false }])
    await host.primary.stop('immediate')
  })

  it('what the paths lack and the local archive lost is damage, not absence', async () => {
    const host = await startHost(fleet, 'lost')
    await host.unplug()
    const file = await archiveSegment(host.primary)
    await host.plugIn()
    await host.wake()
    await rename(host.inLocal(file), `${host.inLocal(file)}.away`)
    const { status, stderr } = await host.fetch(file)
    expect(status).toBe(200)
    expect(stderr).toContain(`"local archive" no longer has "${file}"`)
    await host.primary.stop('immediate')
  })
})

it('a host is lost for good: its WAL holds up no recovery once that is declared, and that can be taken back', async () => {
  const host = await startHost(fleet, 'gone')
  await host.unplug()
  const files = [await archiveSegment(host.primary), await archiveSegment(host.primary)]
  await host.primary.stop('immediate')
  await host.plugIn()
  const dba = (...words: string[]) => fleet.pgarch(words, { admin: true })
  const elsewhere = join(makeFolder(fleet.folder, 'gone-elsewhere'), 'segment')
  const fetch = () => fleet.pgarch(['fetch', files[0] ?? '', elsewhere, '--cluster', 'gone'])
  const doubtful = await fetch()
  expect(doubtful.status).toBe(200)
  expect(doubtful.stderr).toContain('see "pgarch local lost --help"')

  const nobody = await dba('local', 'lost', 'gone', 'nobody', '--yes-lose-wal')
  expect(nobody).toMatchObject({ status: 1, stderr: expect.stringContaining('no file of cluster') })
  const asked = await dba('local', 'lost', 'gone', hostname())
  const [one, other] = files
  expect(asked.stdout).toContain(
    `holds 2 files of cluster "gone", 2 nowhere else: ${one} to ${other}.`,
  )
  expect(asked).toMatchObject({ status: 64, stderr: expect.stringContaining('--yes-lose-wal') })
  expect((await fetch()).status).toBe(200)

  const lost = ['local', 'lost', 'gone', hostname(), '--yes-lose-wal', '--reason', 'it burnt']
  expect((await dba(...lost)).stdout).toContain('Take a base backup of cluster "gone" now.')
  const absent = await fetch()
  expect(absent.status).toBe(1)
  expect(absent.stderr).toContain(`in the local archive of host "${hostname()}", which is lost`)
  expect((await dba('status', 'gone')).stdout).toMatch(/^2 files only on a lost path or host$/m)
  expect((await dba('status', 'gone')).stdout).not.toContain('only in a local archive')
  expect(await dba(...lost)).toMatchObject({ status: 1 })
  const [noted] = await fleet.rows('select lost_by, lost_reason from pgarch.arch_local_loss')
  expect(noted).toMatchObject({ lost_by: expect.stringContaining('@'), lost_reason: 'it burnt' })

  await fleet.admin('local', 'found', 'gone', hostname())
  expect((await dba('local', 'found', 'gone', hostname())).status).toBe(1)
  expect((await fetch()).status).toBe(200)
  await fleet.admin(...lost)
  await host.wake()
  expect(await host.pgarch('local', 'drain')).toMatchObject({ status: 0 })
  expect((await fetch()).status).toBe(0)
  expect((await dba('status', 'gone')).stdout).not.toContain('only on a lost')
})

describe('the local archive fails too', () => {
  it('its disk is not mounted: push fails, nothing is written below, and nothing is called absent', async () => {
    const host = await startHost(fleet, 'bare')
    await rename(host.localRoot, `${host.localRoot}.away`)
    const absent = '0000000100000000000000F0'
    const doubtful = await host.fetch(absent)
    expect(doubtful.status).toBe(200)
    expect(doubtful.stderr).toContain('has no pgarch-path')
    const status = await host.pgarch('status', '--host', '--json')
    expect(status.status).toBe(1)
    expect(JSON.parse(status.stdout)).toContainEqual(
      expect.objectContaining({
        ...{ clusterName: 'bare', journalLength: 0, localFiles: null },
        error: expect.stringContaining('has no pgarch-path'),
      }),
    )
    expect((await host.pgarch('status', '--host')).stdout).toMatch(/bare .*cannot tell/)

    await host.unplug()
    await host.primary.query('create table t (n int); select pg_switch_wal()')
    await waitFor('push fails', () => host.primary.log().includes('did not take'))
    await waitFor('it says why', () =>
      /local archive did not take .*pgarch-path/.test(host.primary.log()),
    )
    expect(readdirSync(host.local).filter((name) => !name.endsWith('.away'))).toEqual([])

    await rename(`${host.localRoot}.away`, host.localRoot)
    const next = await archiveSegment(host.primary)
    expect(await host.listed()).toContain(next)
    expect((await host.fetch(absent)).status).toBe(200) // the path is away still
    await host.plugIn()
    await host.wake()
    expect((await host.fetch(absent)).status).toBe(1)
    await host.primary.stop('immediate')
  })

  it.skipIf(process.getuid?.() !== 0)('it would eat into its reserve: WAL waits', async () => {
    const local = makeFolder(fleet.folder, 'tight-local')
    const disk = await mountSmallDisk(local)
    onTestFinished(disk.unmount)
    const host = await startHost(fleet, 'tight', local)
    await host.unplug()
    const filler = join(local, 'filler')
    await writeFile(filler, Buffer.alloc(2.5 * 1024 ** 2, 'x'))
    await host.primary.query('create table t (n int); select pg_switch_wal()')
    await waitFor('it says why', () => host.primary.log().includes('would eat into the reserve'))
    expect(await host.listed()).toEqual([])
    await rm(filler)
    const next = await archiveSegment(host.primary)
    expect(await host.listed()).toContain(next)
    await host.primary.stop('immediate')
  })
})

it('the setting is changed: the old directory is emptied first, then the new one is used', async () => {
  const host = await startHost(fleet, 'moved')
  await host.unplug()
  const file = await archiveSegment(host.primary)
  const other = makeFolder(fleet.folder, 'moved-to')
  const push = (walName: string, local: string) =>
    fleet.pgarch(['push', `pg_wal/${walName}`, walName], {
      cwd: host.primary.dataDirectory,
      environment: { PGARCH_LOCAL_ARCHIVE: local },
    })
  const refused = await push(file, other)
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain('is not empty')
  await host.plugIn()
  await host.wake()
  expect((await push(host.first, other)).status).toBe(0)
  expect(await host.listed()).toEqual([])
  expect(readdirSync(other)).toHaveLength(1)

  await host.unplug()
  expect((await push(file, other)).status).toBe(0)
  expect(await host.listed()).toEqual([file])
  // The path has it, so nobody need know of the copy here.
  expect(await host.copies(file)).toEqual([{ path: 'moved', member: null }])
  await host.plugIn()
  await host.wake()
  expect((await push(host.first, '')).status).toBe(0)
  expect(existsSync(join(host.state, 'local-archive.json'))).toBe(false)
  await host.primary.stop('immediate')
})
