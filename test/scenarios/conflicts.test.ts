import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeDataDirectory, markReady } from '../support/data-directory.ts'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  storedFile,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { startFrom } from '../support/postgres.ts'
import { countOf, startRestored, takeBackup, untilPrimary } from '../support/restored.ts'
import { conflictsOf, copiesOf, filesOf, fingerprintOf, sha256 } from '../support/rows.ts'
import { putStored } from '../support/stored.ts'
import { unprivileged } from '../support/unprivileged.ts'
import { makeSegment } from '../support/wal.ts'

let fleet: Fleet
let berlin: string
let madrid: string

beforeAll(async () => {
  fleet = await startFleet()
  berlin = await fleet.addPath('berlin')
  madrid = await fleet.addPath('madrid')
})

const conflict = (...words: string[]) => fleet.pgarch(['conflict', ...words], { admin: true })
const setAside = (cluster: string, file: string, ...more: string[]) =>
  conflict('set-aside', cluster, file, '--reason', 'it was a test', ...more)

async function openConflicts(cluster: string): Promise<unknown[]> {
  return JSON.parse(await fleet.admin('conflict', 'list', cluster, '--json'))
}

it('split brain: a copy of the primary archives too; set aside, its WAL takes the name, and a recovery follows it', async () => {
  const primary = await fleet.startPrimary('brain', ['berlin', 'madrid'])
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'brain-backup', { includeWal: true })
  const clone = join(fleet.folder, 'brain-clone')
  execFileSync('cp', ['-a', backup, clone])
  await fleet.admin('register', '--member', '--offline', '--pgdata', clone)
  const name = await archiveSegment(primary)

  const other = await startFrom(clone, {
    environment: fleet.environment,
    settings: fleet.archiveSettings,
  })
  await other.query('insert into numbers select generate_series(1, 77)')
  let refused = await endSegment(other)
  while (refused < name) refused = await endSegment(other)
  await waitFor('it is refused', async () => (await conflictsOf(fleet, 'brain')).length > 0)
  const [met] = await conflictsOf(fleet, 'brain')
  expect(met?.file).toBe(name)
  const status = await fleet.pgarch(['status', 'brain'], { admin: true })
  expect(status).toMatchObject({ status: 1, stdout: expect.stringContaining('1 conflict') })

  expect(await fleet.admin('conflict', 'list')).toMatch(new RegExp(`brain +${name}`))
  const shown = await fleet.admin('conflict', 'show', 'brain', name)
  expect(shown).toContain(met?.sha256)
  expect(shown).toMatch(/archived .* berlin\n/)
  expect(shown).toMatch(/A recovery along timeline 1, as host ".*" wrote it, can no longer go past/)

  expect(await setAside('brain', name)).toMatchObject({ status: 0, stderr: '' })
  expect(await openConflicts('brain')).toEqual([])
  await wakeArchiver(other)
  await untilArchived(other, name)
  expect(await filesOf(fleet, 'brain')).toContainEqual(
    expect.objectContaining({ file: name, sha256: met?.sha256 }),
  )
  const fingerprint = await fingerprintOf(fleet, 'brain')
  const stored = readdirSync(dirname(storedFile(berlin, fingerprint, name)))
  expect(
    stored.filter((one) => one.startsWith(`${name}.zst`)).map((one) => one.slice(-10)),
  ).toEqual(expect.arrayContaining(['.set-aside']))
  await primary.stop('immediate')
  await other.stop()
  const restored = await startRestored(fleet, backup, 'recovery')
  await untilPrimary(restored)
  expect(await countOf(restored, 'numbers')).toBe(77)
})

describe('two hosts, and one name', () => {
  const walSegmentSize = 1024 * 1024
  const walName = '000000010000000000000007'
  let clusters = 0

  interface Host {
    push(): Promise<{ status: number | null; stderr: string }>
    readonly sha256: string
    readonly dataDirectory: string
  }

  /** A cluster with hosts that have different content under one name, and never ran a server. */
  async function twoHosts(): Promise<{
    cluster: string
    fingerprint: string
    hosts: [Host, Host]
  }> {
    const cluster = `hosts${++clusters}`
    const systemIdentifier = String(7_000_000_000_000_000_000n + BigInt(clusters))
    const hosts = [1, 2].map((fill) => {
      const dataDirectory = makeDataDirectory(
        makeFolder(fleet.folder, `${cluster}-${fill}`),
        systemIdentifier,
      )
      const bytes = makeSegment({ segno: 7, walSegmentSize, systemIdentifier, fill })
      writeFileSync(join(dataDirectory, 'pg_wal', walName), bytes)
      markReady(dataDirectory, walName)
      execFileSync('chown', ['-R', `${unprivileged.uid}:${unprivileged.gid}`, dataDirectory])
      return {
        dataDirectory,
        sha256: sha256(bytes),
        push: () => fleet.pgarch(['push', `pg_wal/${walName}`, walName], { cwd: dataDirectory }),
      }
    }) as unknown as [Host, Host]
    const register = (...words: string[]) => fleet.admin('register', '--offline', ...words)
    await register('--name', cluster, '--pgdata', hosts[0].dataDirectory)
    await register('--member', '--pgdata', hosts[1].dataDirectory)
    await fleet.admin('route', 'set', cluster, 'berlin', '--priority', '20')
    await fleet.admin('route', 'set', cluster, 'madrid', '--priority', '10')
    return { cluster, fingerprint: await fingerprintOf(fleet, cluster), hosts }
  }

  const away = (root: string) => renameSync(root, `${root}.away`)
  const back = (root: string) => renameSync(`${root}.away`, root)
  const archivedAs = async (cluster: string) =>
    (await filesOf(fleet, cluster)).find(({ file }) => file === walName)?.sha256

  it('without a conflict nothing is set aside, nor while a path cannot be looked at', async () => {
    const { cluster, fingerprint, hosts } = await twoHosts()
    expect((await hosts[0].push()).status).toBe(0)
    expect(await setAside(cluster, walName)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('there is no open conflict'),
    })
    expect((await hosts[1].push()).status).toBe(1)
    away(madrid)
    const refused = await setAside(cluster, walName)
    const shown = await conflict('show', cluster, walName)
    back(madrid)
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nothing was set aside'),
    })
    expect(shown.stdout).toContain('What lies on path "madrid" is not known')
    expect(existsSync(storedFile(berlin, fingerprint, walName))).toBe(true)

    expect((await setAside(cluster, walName)).status).toBe(0)
    expect(await openConflicts(cluster)).toEqual([])
    expect(await filesOf(fleet, cluster)).toEqual([])
    expect(await copiesOf(fleet, cluster)).toEqual([])
    expect((await hosts[1].push()).status).toBe(0)
    expect((await hosts[0].push()).status).toBe(1)
  })

  it('the archived content may stay: the refused one is set aside, which renames nothing', async () => {
    const { cluster, fingerprint, hosts } = await twoHosts()
    await hosts[0].push()
    await hosts[1].push()
    const content = ['--content', hosts[1].sha256.slice(0, 8)]
    expect((await setAside(cluster, walName, ...content)).stdout).toContain('Nothing is renamed')
    expect(await openConflicts(cluster)).toEqual([])
    expect(await archivedAs(cluster)).toBe(hosts[0].sha256)
    expect(existsSync(storedFile(berlin, fingerprint, walName))).toBe(true)
    expect((await hosts[1].push()).status).toBe(1)
    expect(await openConflicts(cluster)).toHaveLength(1)
  })

  it('killed between renaming and noting: the same command goes on, whatever the paths look like by then', async () => {
    const { cluster, fingerprint, hosts } = await twoHosts()
    await hosts[0].push()
    await hosts[1].push()
    await fleet.rows(
      `insert into pgarch.arch_set_aside (db_id, wal_name, sha256, author, reason)
       values ($1, $2, decode($3, 'hex'), 'somebody', 'killed')`,
      [fingerprint, walName, hosts[0].sha256],
    )
    const stored = storedFile(berlin, fingerprint, walName)
    renameSync(stored, `${stored}.${hosts[0].sha256}.set-aside`)
    expect((await setAside(cluster, walName, '--content', hosts[1].sha256)).status).toBe(1)
    const done = await setAside(cluster, walName)
    expect(done).toMatchObject({ status: 0, stdout: expect.stringContaining('.set-aside now') })
    const noted = await fleet.rows(
      `select author, reason, copies, finished_time is not null as finished
       from pgarch.arch_set_aside where db_id = $1`,
      [fingerprint],
    )
    const folder = `${fingerprint}/${walName.slice(0, 16)}`
    const file = `${folder}/${walName}.zst.${hosts[0].sha256}.set-aside`
    const copies = [{ path: 'berlin', file }]
    expect(noted).toEqual([{ author: 'somebody', reason: 'killed', copies, finished: true }])
    expect((await hosts[1].push()).status).toBe(0)
  })

  it('strange content on a path gives way to what was claimed', async () => {
    const { cluster, fingerprint, hosts } = await twoHosts()
    const systemIdentifier = String(7_000_000_000_000_000_000n + BigInt(clusters))
    const bytes = makeSegment({ segno: 7, walSegmentSize, systemIdentifier, fill: 3 })
    await putStored(berlin, fingerprint, { walName, bytes, systemIdentifier })
    expect((await hosts[0].push()).status).toBe(1)
    expect(await fleet.admin('conflict', 'show', cluster, walName)).toMatch(/unknown .* berlin\n/)
    expect((await setAside(cluster, walName)).status).toBe(0)
    expect(await openConflicts(cluster)).toEqual([])
    expect((await hosts[0].push()).status).toBe(0)
    expect(await archivedAs(cluster)).toBe(hosts[0].sha256)
  })

  it('both were archived during an outage: one is chosen, and the other takes its place', async () => {
    const { cluster, hosts } = await twoHosts()
    for (const { dataDirectory } of hosts) {
      const name = '000000010000000000000006'
      const systemIdentifier = String(7_000_000_000_000_000_000n + BigInt(clusters))
      const bytes = makeSegment({ segno: 6, walSegmentSize, systemIdentifier })
      writeFileSync(join(dataDirectory, 'pg_wal', name), bytes)
      markReady(dataDirectory, name)
      await fleet.pgarch(['push', `pg_wal/${name}`, name], { cwd: dataDirectory })
    }
    await fleet.schedule.stop('immediate')
    expect((await hosts[0].push()).status).toBe(0)
    away(berlin)
    expect((await hosts[1].push()).status).toBe(0)
    back(berlin)
    await fleet.schedule.start()
    await fleet.rows('select 1')
    for (const { dataDirectory } of hosts) {
      await fleet.pgarch(['journal', 'flush', '--pgdata', dataDirectory], { cwd: dataDirectory })
    }
    expect(await archivedAs(cluster)).toBe(hosts[0].sha256)
    expect(await openConflicts(cluster)).not.toEqual([])

    expect(await setAside(cluster, walName)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('without saying which'),
    })
    const first = await setAside(cluster, walName, '--content', hosts[0].sha256)
    expect(first).toMatchObject({ status: 0, stderr: '' })
    expect(await openConflicts(cluster)).toEqual([])
    expect(await archivedAs(cluster)).toBe(hosts[1].sha256)
    expect((await copiesOf(fleet, cluster)).filter(({ file }) => file === walName)).toEqual([
      { file: walName, path: 'madrid' },
    ])
    const fetched = join(makeFolder(fleet.folder, `${cluster}-fetched`), 'segment')
    const fetch = ['fetch', walName, fetched, '--cluster', cluster]
    expect((await fleet.pgarch(fetch)).status).toBe(0)
  })

  it('set aside while a path was lost: it is set aside there too when the path is found', async () => {
    const { cluster, fingerprint, hosts } = await twoHosts()
    await hosts[0].push()
    await hosts[1].push()
    const stored = storedFile(berlin, fingerprint, walName)
    await fleet.admin('path', 'lost', 'berlin', '--yes-lose-wal')
    expect((await setAside(cluster, walName)).status).toBe(0)
    expect(existsSync(stored)).toBe(true)
    expect((await hosts[1].push()).status).toBe(0)
    await fleet.admin('path', 'found', 'berlin')
    expect(existsSync(stored)).toBe(false)
    expect(existsSync(`${stored}.${hosts[0].sha256}.set-aside`)).toBe(true)
    const [noted] = await fleet.rows<{ copies: unknown[] }>(
      'select copies from pgarch.arch_set_aside where db_id = $1',
      [fingerprint],
    )
    expect(noted?.copies).toHaveLength(1)
  })
})
