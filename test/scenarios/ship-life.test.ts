import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { serverVersions } from '../support/postgres.ts'
import { childrenOf } from '../support/processes.ts'
import {
  countOf,
  promote,
  startRestored,
  streamingFrom,
  takeBackup,
  untilPrimary,
} from '../support/restored.ts'
import {
  flushedLsn,
  includeShipped,
  shippedContent,
  shippedFiles,
  shippedUpTo,
  startShipper,
  untilShipped,
} from '../support/shipper.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'

let fleet: Fleet
let sshd: Sshd
let root: string

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  root = await fleet.addPath('berlin', { sshd })
})

it('a second shipper is refused, on this host and on another; --once beside one waits for it', async () => {
  const primary = await fleet.startPrimary('twice', ['berlin'])
  const { dataDirectory } = primary
  const first = startShipper(fleet, primary)
  await primary.query('create table numbers (n int)')
  await untilShipped(primary, root)

  const second = startShipper(fleet, primary)
  expect(await second.ended()).toBe(1)
  expect(second.log()).toMatch(/another shipper runs for/)

  await primary.query('insert into numbers values (1)')
  const once = startShipper(fleet, primary, { words: ['--once'] })
  expect(await once.ended()).toBe(0)
  expect(once.log()).toMatch(/all is shipped up to .*, by the shipper that runs/)
  expect(await shippedUpTo(primary, root)).toBeGreaterThan(0n)

  // As another host that is a member, too: of the data directory's copy, say.
  const environment = { PGARCH_STATE_DIR: makeFolder(fleet.folder, 'other-state') }
  const words = ['register', '--member', '--offline', '--pgdata', dataDirectory]
  expect(await fleet.pgarch(words, { admin: true, environment })).toMatchObject({ status: 0 })
  await primary.query('insert into numbers values (2)')
  const other = startShipper(fleet, primary, { environment })
  expect(await other.ended()).toBe(1)
  expect(other.log()).toMatch(/a shipper on host ".*" ships this cluster already/)
  await primary.query('insert into numbers values (3)')
  await untilShipped(primary, root)
  expect(first.isRunning).toBe(true)

  // One that ends by itself lets the other one in.
  first.kill('SIGTERM')
  await first.ended()
  await primary.query('insert into numbers values (4)')
  const next = startShipper(fleet, primary, { environment })
  await untilShipped(primary, root)
  expect(next.log()).toBe('')
  // Node.js, which holds our end of the pipe, ends with its launcher.
  next.killLauncher('SIGKILL')
  await next.ended()
  await primary.stop('immediate')
})

it('the primary is restarted, crashes, and the cluster is paused: it goes on, and says each once; it ends beside a server that hangs', async () => {
  const primary = await fleet.startPrimary('restarted', ['berlin'])
  const shipper = startShipper(fleet, primary)
  await primary.query('create table numbers (n int)')
  await untilShipped(primary, root)
  for (const mode of ['fast', 'immediate'] as const) {
    await primary.stop(mode)
    await sleep(1500)
    await primary.start()
    await primary.query('insert into numbers select generate_series(1, 1000)')
    await untilShipped(primary, root)
  }
  expect(shipper.log().match(/WARNING/g)).toHaveLength(2)
  expect(shipper.log().match(/the server answers again/g)).toHaveLength(2)

  await fleet.admin('cluster', 'pause', 'restarted', '--reason', 'a move')
  await sleep(1500)
  await primary.query('insert into numbers select generate_series(1, 1000)')
  await waitFor('it pauses', () => /is at pause, and so is shipping/.test(shipper.log()))
  const flushed = await flushedLsn(primary)
  await sleep(1500)
  expect(await shippedUpTo(primary, root)).toBeLessThan(flushed)
  await fleet.admin('cluster', 'start', 'restarted')
  await untilShipped(primary, root)
  primary.kill('SIGSTOP')
  const backends = childrenOf(primary.pid ?? 0)
  for (const pid of backends) process.kill(pid, 'SIGSTOP')
  await sleep(500)
  shipper.kill('SIGTERM')
  await shipper.ended()
  for (const pid of backends) process.kill(pid, 'SIGCONT')
  primary.kill('SIGCONT')
  await primary.stop('immediate')
})

it('the primary comes back from a snapshot and goes on past its old end: what was shipped before is not mixed with it', async () => {
  const primary = await fleet.startPrimary('turned-back', ['berlin'])
  const { dataDirectory } = primary
  await primary.query('create table numbers (n int)')
  await primary.stop()
  execFileSync('cp', ['-a', dataDirectory, `${dataDirectory}-snapshot`])
  await primary.start()
  const shipper = startShipper(fleet, primary)
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)
  // It must not see the server before that is past the old end.
  shipper.kill('SIGSTOP')
  await primary.stop('immediate')
  rmSync(dataDirectory, { recursive: true })
  renameSync(`${dataDirectory}-snapshot`, dataDirectory)
  await primary.start()
  await primary.query('insert into numbers select generate_series(2000, 9000)')
  shipper.kill('SIGCONT')
  await untilShipped(primary, root)
  shipper.kill('SIGTERM')
  await shipper.ended()

  const contents = await Promise.all(
    shippedFiles(root, primary).map(async (file) => {
      const { wal } = await shippedContent(file)
      const segment = join(dataDirectory, 'pg_wal', basename(file).slice(0, 24))
      return { wal, own: readFileSync(segment).subarray(0, wal.length) }
    }),
  )
  const [longest] = contents.toSorted((one, other) => other.wal.length - one.wal.length)
  expect(longest?.wal.equals(longest.own)).toBe(true)
  await primary.stop('immediate')
})

it('a crashed server left its postmaster.pid, and a copy has its socket now: the old pg_wal is not shipped', async () => {
  const primary = await fleet.startPrimary('copied', ['berlin'])
  await primary.query('create table numbers (n int)')
  const crashed = await takeBackup(fleet, primary, 'copied-crashed', { includeWal: true })
  await fleet.admin('register', '--member', '--offline', '--pgdata', crashed)
  copyFileSync(join(primary.dataDirectory, 'postmaster.pid'), join(crashed, 'postmaster.pid'))
  const shipper = startShipper(fleet, { dataDirectory: crashed }, { words: ['--once'] })
  expect(await shipper.ended()).toBe(1)
  expect(shipper.log()).toContain(`no server runs on "${crashed}": the one on its socket runs on`)
  expect(shippedFiles(root, primary)).toEqual([])
  await primary.stop('immediate')
})

it('a standby is promoted: the shipper of the old primary wakes up, ends, and writes nothing', async () => {
  const primary = await fleet.startPrimary('old', ['berlin'], {
    settings: { wal_log_hints: true },
  })
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'old-backup', { includeWal: true })
  await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
  const standby = await startRestored(fleet, backup, 'standby', {
    settings: {
      ...fleet.archiveSettings,
      archive_mode: 'on',
      primary_conninfo: streamingFrom(primary),
    },
  })
  const shipper = startShipper(fleet, primary)
  // It stands by on the standby, and goes on with the new timeline.
  const next = startShipper(fleet, standby)
  await waitFor('it stands by', () => /shipping begins when it is promoted/.test(next.log()))
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)
  await waitFor('all is replayed', async () => (await countOf(standby, 'numbers')) === 100)

  shipper.kill('SIGSTOP')
  await promote(standby)
  await standby.query('insert into numbers values (101)')
  await untilShipped(standby, root)
  await waitFor('the history is archived', async () => {
    const [row] = await fleet.rows('select from pgarch.arch_file where wal_name = $1', [
      '00000002.history',
    ])
    return row !== undefined
  })
  const sizes = () =>
    shippedFiles(root, primary)
      .filter((file) => /\/00000001\w{16}\./.test(file))
      .map((file) => readFileSync(file).length)
  const before = sizes()
  await primary.query('insert into numbers select generate_series(1, 100)')
  shipper.kill('SIGCONT')
  expect(await shipper.ended()).toBe(1)
  expect(shipper.log()).toMatch(/timeline 1 has ended: timeline 2 branched off it at/)
  expect(sizes()).toEqual(before)

  // Nor does it begin again, whether or not the scheduling database can say why.
  for (const environment of [{}, { PGARCH_SCHEDULE_URL: 'postgresql://nobody@127.0.0.1:1/x' }]) {
    const again = startShipper(fleet, primary, { environment })
    expect(await again.ended()).toBe(1)
    expect(again.log()).toMatch(/timeline 1 has ended/)
  }
  expect(next.isRunning).toBe(true)
  expect(sizes()).toEqual(before)
  next.kill('SIGTERM')
  await next.ended()
  await Promise.all([standby.stop('immediate'), primary.stop('immediate')])
})

it('the path fails: the next one gets all that is not archived; the longest file is delivered', async () => {
  const second = await fleet.addPath('paris')
  const primary = await fleet.startPrimary('moved', ['berlin', 'paris'], {
    environment: { PGARCH_SSH_CONNECT_TIMEOUT: '2s', PGARCH_STALL_TIMEOUT: '2s' },
  })
  await primary.query('create table numbers (n int)')
  const backup = await takeBackup(fleet, primary, 'moved-backup')
  const shipper = startShipper(fleet, primary, {
    environment: { PGARCH_SSH_CONNECT_TIMEOUT: '2s', PGARCH_STALL_TIMEOUT: '2s' },
  })
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, root)
  expect(shippedFiles(second, primary)).toEqual([])
  onTestFinished(() => sshd.restart())
  sshd.kill()
  await primary.query('insert into numbers select generate_series(1, 100)')
  await untilShipped(primary, second)
  expect(shipper.log().match(/WARNING/g)).toHaveLength(1)
  primary.kill('SIGKILL')
  await primary.ended()
  shipper.kill('SIGKILL')
  await sshd.restart()

  const recovered = await startRestored(fleet, backup, 'recovery', {
    settings: includeShipped(fleet),
  })
  await untilPrimary(recovered)
  expect(await countOf(recovered, 'numbers')).toBe(200)
  await recovered.stop('immediate')
})

it('the path is disabled in the midst of a segment: the next one gets all that is not archived', async () => {
  const second = await fleet.addPath('madrid')
  const primary = await fleet.startPrimary('routed', ['berlin', 'madrid'])
  await primary.query('create table numbers (n int)')
  const shipper = startShipper(fleet, primary)
  await untilShipped(primary, root)
  await fleet.admin('route', 'disable', 'routed', 'berlin')
  await waitFor('it is shipped to the other path', async () => {
    await primary.query('insert into numbers values (1)')
    return (await shippedUpTo(primary, second)) > 0n
  })
  await untilShipped(primary, second)
  expect(shipper.log()).toBe('')
  // What was shipped there before is not forgotten.
  const words = ['route', 'remove', 'routed', 'berlin']
  expect(await fleet.pgarch(words, { admin: true })).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/holds files of this cluster.*\n.*shipped files.*ship\.md/),
  })
  await primary.stop('immediate')
})

it('the scheduling database is down: shipping goes on by the last route', async () => {
  const primary = await fleet.startPrimary('alone', ['berlin'])
  const shipper = startShipper(fleet, primary)
  await primary.query('create table numbers (n int)')
  await untilShipped(primary, root)
  onTestFinished(() => fleet.schedule.start())
  await fleet.schedule.stop('immediate')
  await sleep(1500)
  for (let round = 0; round < 3; round++) {
    await primary.query('insert into numbers select generate_series(1, 100)')
    await untilShipped(primary, root)
    await sleep(1100)
  }
  expect(shipper.log().match(/shipping goes on without it/g)).toHaveLength(1)
  shipper.kill('SIGTERM')
  await shipper.ended()

  // As does one that begins now.
  const other = startShipper(fleet, primary, { words: ['--once'] })
  await primary.query('insert into numbers select generate_series(1, 100)')
  expect({ status: await other.ended(), log: other.log() }).toMatchObject({ status: 0 })
  await primary.stop('immediate')
})

const modes = ['on', 'always'] as const
const servers = serverVersions().flatMap((version) => modes.map((mode) => ({ version, mode })))

it.each(servers)(
  'PostgreSQL $version.major, archive_mode=$mode: what was delivered is not archived in place of the whole segment',
  async ({ version, mode }) => {
    const name = `${mode}-${version.major}`
    const primary = await fleet.startPrimary(name, ['berlin'], { version })
    await primary.query('create table numbers (n int)')
    const backup = await takeBackup(fleet, primary, `${name}-backup`)
    await fleet.admin('register', '--member', '--offline', '--pgdata', backup)
    const shipper = startShipper(fleet, primary)
    await primary.query('insert into numbers select generate_series(1, 100)')
    await untilShipped(primary, root)
    shipper.kill('SIGKILL')
    await shipper.ended()
    const [{ last = '' } = {}] = await primary.query<{ last: string }>(
      'select pg_walfile_name(pg_current_wal_insert_lsn()) as last',
    )

    const recovered = await startRestored(fleet, backup, 'recovery', {
      version,
      settings: { ...fleet.archiveSettings, ...includeShipped(fleet), archive_mode: mode },
    })
    await untilPrimary(recovered)
    expect(await countOf(recovered, 'numbers')).toBe(100)
    const newest = await archiveSegment(recovered)
    expect(newest).toMatch(/^00000002/)
    const passedOver = `"${last}" was not archived: it is the unfinished segment`
    expect(recovered.log().includes(passedOver)).toBe(mode === 'always')
    const files = await fleet.rows<{ name: string }>(
      `select f.wal_name as name from pgarch.arch_file f
     join pgarch.arch_db_info d on d.id = f.db_id where d.name = $1 and f.wal_name like $2`,
      [name, `${last}%`],
    )
    expect(files).toEqual([])
    // The primary lives still, and its own segment is let in.
    expect(await archiveSegment(primary)).toBe(last)
    await Promise.all([recovered.stop('immediate'), primary.stop('immediate')])
  },
)
