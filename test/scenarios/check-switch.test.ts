import { beforeAll, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { startHost } from '../support/local-archive-host.ts'

let fleet: Fleet
let host: Awaited<ReturnType<typeof startHost>>

beforeAll(async () => {
  fleet = await startFleet()
  host = await startHost(fleet, 'app')
})

async function checkSwitch(...words: string[]) {
  const { status, stdout } = await host.pgarch(
    ...['check', '--switch', '--pguser', 'postgres', '-D', host.primary.dataDirectory],
    ...(words.includes('-t') ? words : ['-t', '120', ...words]),
  )
  return { status, stdout, walName: /\b[0-9A-F]{24}\b/.exec(stdout)?.[0] ?? '' }
}

async function setCommand(archiveCommand: unknown) {
  host.primary.configure({ archive_command: String(archiveCommand) })
  await host.primary.query('select pg_reload_conf()')
}

test('a segment is ended, archived, fetched and compared, also when nothing was written', async () => {
  const first = await checkSwitch()
  expect(first.stdout).toMatch(
    /^PGARCH OK: cluster "app": [0-9A-F]{24} was fetched [\d.]+ s after its end, and is what the server wrote \| archive_time=[\d.]+s;;;0\n$/,
  )
  const second = await checkSwitch()
  expect([first.status, second.status]).toEqual([0, 0])
  expect(second.walName > first.walName).toBe(true)
  for (const { walName } of [first, second]) {
    expect(await host.copies(walName)).toEqual([{ path: 'app', member: null }])
  }
})

test('how long it may take is a matter of ranges', async () => {
  expect((await checkSwitch('-w', '0:0')).status).toBe(1)
  expect((await checkSwitch('-c', 'archive_time=0:0')).status).toBe(2)
})

test('in the local archive alone is a warning; it is waited for', async () => {
  await host.unplug()
  const { status, stdout, walName } = await checkSwitch('-t', '20')
  await host.plugIn()
  await host.wake()
  expect(stdout).toMatch(/^PGARCH WARNING: .* is in the local archive alone/)
  expect(status).toBe(1)
  await host.pgarch('local', 'drain')
  expect(await host.copies(walName)).toEqual([{ path: 'app', member: null }])
})

test('what archive_command only says it archived is critical', async () => {
  await setCommand('true pgarch')
  const { status, stdout, walName } = await checkSwitch('-t', '20')
  expect(stdout).toContain(`CRITICAL: cluster "app": ${walName} cannot be fetched`)
  expect(stdout).toContain('no path has it')
  expect(status).toBe(2)
})

test('what it does not archive is critical, with what is known of why', async () => {
  await setCommand('false pgarch')
  const { status, stdout, walName } = await checkSwitch('-t', '20')
  expect(stdout).toMatch(
    new RegExp(`^PGARCH CRITICAL: .*${walName} cannot be fetched .*: it was not`),
  )
  expect(status).toBe(2)
  await setCommand(fleet.archiveSettings.archive_command)
})

test('where it is plain that nothing would be archived, nothing is tried', async () => {
  const segment = () => host.primary.query('select pg_walfile_name(pg_current_wal_lsn()) as name')
  await setCommand('')
  const before = await segment()
  const { status, stdout } = await checkSwitch()
  expect(stdout).toMatch(/^PGARCH CRITICAL: cluster "app": archive_command is empty/)
  expect(status).toBe(2)
  expect(await segment()).toEqual(before)
  await setCommand(fleet.archiveSettings.archive_command)
  expect((await checkSwitch()).status).toBe(0)
})

test('of a stopped cluster it was dropped', async () => {
  await fleet.admin('cluster', 'stop', 'app', '--yes-lose-wal', '--reason', 'bulk load')
  const { status, stdout } = await checkSwitch('-t', '20')
  await fleet.admin('cluster', 'start', 'app')
  expect(stdout).toMatch(/^PGARCH CRITICAL: .* was dropped while archiving was stopped/)
  expect(status).toBe(2)
})
