import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { encode } from '../../src/stores/stored-file.ts'
import { baseBackup } from '../support/base-backup.ts'
import { makeDataDirectory, markReady } from '../support/data-directory.ts'
import {
  archiveSegment,
  endNoisySegment,
  type Fleet,
  startFleet,
  storedFile,
  untilArchived,
} from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import { type Line, startLine } from '../support/line.ts'
import { type Server, startFrom } from '../support/postgres.ts'
import { filesOf, fingerprintOf, sha256 } from '../support/rows.ts'
import { startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { makeHistory, makeSegment } from '../support/wal.ts'

const megabyte = 1024 * 1024
const restored = 'pg_wal/RECOVERYXLOG'
const nobody = { PGARCH_SCHEDULE_URL: 'postgresql://postgres@127.0.0.1:1/pgarch' }
const impatient = { PGARCH_FETCH_PATIENCE: '100ms' }

let fleet: Fleet
let line: Line
let primary: Server
let identifier: string
let fingerprint: string
/** Has copies on berlin, behind SFTP, and on madrid. */
let segment: string
let roots: { berlin: string; madrid: string }
let copies: { berlin: string; madrid: string }
/** A host's data directory before recovery, known by its system identifier alone. */
let data: string
let hosts = 0

beforeAll(async () => {
  fleet = await startFleet()
  const sshd = await startSshd({ folder: fleet.folder })
  line = await startLine(sshd)
  roots = {
    berlin: await fleet.addPath('berlin', { sshd: { ...sshd, port: line.port } }),
    madrid: await fleet.addPath('madrid'),
  }
  primary = await fleet.startPrimary('app', ['berlin', 'madrid'])
  segment = await endNoisySegment(primary)
  await untilArchived(primary, segment)
  await fleet.admin('route', 'disable', 'app', 'berlin')
  await fleet.pgarch(['push', `pg_wal/${segment}`, segment], { cwd: primary.dataDirectory })
  await fleet.admin('route', 'enable', 'app', 'berlin')
  fingerprint = await fingerprintOf(fleet, 'app')
  copies = {
    berlin: storedFile(roots.berlin, fingerprint, segment),
    madrid: storedFile(roots.madrid, fingerprint, segment),
  }
  const [row] = await primary.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  identifier = row?.id ?? ''
})

afterAll(() => line.close())

beforeEach(() => {
  data = makeHost(identifier)
})

function makeHost(systemIdentifier: string): string {
  const folder = makeFolder(fleet.folder, `host-${++hosts}`)
  const directory = makeDataDirectory(folder, systemIdentifier)
  for (const one of ['', 'pg_wal', 'global']) ownByUnprivileged(join(directory, one))
  return directory
}

function makeStandby(): void {
  writeFileSync(join(data, 'standby.signal'), '')
}

function fetch(
  name: string,
  {
    to = restored,
    words = [],
    environment = {},
  }: { to?: string; words?: string[]; environment?: Record<string, string> } = {},
) {
  return fleet.pgarch(['fetch', name, to, ...words], { cwd: data, environment })
}

/** What the data directory's pg_wal has in it. */
const walDirectory = () => readdirSync(join(data, 'pg_wal'))

async function archivedSha256(name: string): Promise<string | undefined> {
  return (await filesOf(fleet, 'app')).find(({ file }) => file === name)?.sha256
}

describe('a host that nobody registered', () => {
  it('fetches by its system identifier; nothing else is left in its data directory', async () => {
    expect(await fetch(segment)).toMatchObject({ status: 0, stdout: '', stderr: '' })
    expect(sha256(readFileSync(join(data, restored)))).toBe(await archivedSha256(segment))
    expect(walDirectory()).toEqual(['RECOVERYXLOG'])
    expect(readdirSync(data).sort()).toEqual(['PG_VERSION', 'global', 'pg_wal'])
    expect(existsSync(join(fleet.environment.PGARCH_STATE_DIR ?? '', data))).toBe(false)
  })

  it('fetches by the name of the cluster to anywhere', async () => {
    const target = join(makeFolder(fleet.folder, 'anywhere'), 'segment')
    const words = ['fetch', segment, target, '--cluster', 'app']
    expect(await fleet.pgarch(words)).toMatchObject({ status: 0, stderr: '' })
    expect(sha256(readFileSync(target))).toBe(await archivedSha256(segment))
  })

  it('cannot tell which of several clusters it is a copy of, until --cluster says so', async () => {
    const shared = '7000000000000000042'
    const content = makeSegment({
      segno: 5,
      walSegmentSize: megabyte,
      systemIdentifier: shared,
      fill: 5,
    })
    const name = '000000010000000000000005'
    const one = makeHost(shared)
    const two = makeHost(shared)
    for (const host of [one, two]) writeFileSync(join(host, 'pg_wal', name), content)
    markReady(one, name)
    await fleet.admin('register', '--offline', '--name', 'one', '--pgdata', one)
    await fleet.admin('register', '--offline', '--new', '--name', 'two', '--pgdata', two)
    await fleet.admin('route', 'set', 'one', 'madrid', '--priority', '1')
    expect(await fleet.pgarch(['push', `pg_wal/${name}`, name], { cwd: one })).toMatchObject({
      status: 0,
    })

    data = makeHost(shared)
    const unclear = await fetch(name)
    expect(unclear.status).toBe(200)
    expect(unclear.stderr).toMatch(
      /several clusters have system identifier 7000000000000000042\n.*HINT: .*--cluster.*one.*two/,
    )
    expect(walDirectory()).toEqual([])
    expect(await fetch(name, { words: ['--cluster', 'one'] })).toMatchObject({ status: 0 })
    expect(readFileSync(join(data, restored))).toEqual(content)
    const wrong = await fetch(name, { words: ['--cluster', 'app'] })
    expect(wrong.status).toBe(200)
    expect(wrong.stderr).toContain('cluster "app" has system identifier')
  })
})

/** A stored file as pgarch writes it, whole and with a trailer of its own. */
async function encoded(walName: string, content: Buffer): Promise<Buffer> {
  const digest = {
    walName,
    size: content.length,
    sha256: sha256(content),
    systemIdentifier: identifier,
  }
  const chunks: Uint8Array[] = []
  const opened = {
    async *open() {
      yield content
    },
  }
  for await (const chunk of encode(opened, digest, 1)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const spoils: [string, (file: string) => Promise<void> | void][] = [
  ['is cut off', (file) => truncateSync(file, Math.floor(statSync(file).size / 2))],
  ['is empty', (file) => truncateSync(file, 0)],
  [
    'has flipped bits in its middle',
    (file) => {
      const bytes = readFileSync(file)
      const middle = Math.floor(bytes.length / 2)
      bytes.writeUInt8(bytes.readUInt8(middle) ^ 0x10, middle)
      writeFileSync(file, bytes)
    },
  ],
  [
    'is whole, but of other content',
    async (file) => {
      const segno = Number.parseInt(segment.slice(16), 16)
      const systemIdentifier = identifier
      const other = makeSegment({ segno, walSegmentSize: megabyte, systemIdentifier, fill: 9 })
      writeFileSync(file, await encoded(segment, other))
    },
  ],
]

describe.each(spoils)('a copy that %s', (_, spoil) => {
  beforeEach(async () => {
    for (const file of Object.values(copies)) {
      const content = readFileSync(file)
      onTestFinished(() => writeFileSync(file, content))
    }
    await spoil(copies.berlin)
  })

  it('is passed over with a warning, and the second copy is placed', async () => {
    const { status, stderr } = await fetch(segment)
    expect(status).toBe(0)
    expect(stderr).toMatch(/^pgarch: WARNING: .*\n$/)
    expect(sha256(readFileSync(join(data, restored)))).toBe(await archivedSha256(segment))
    expect(walDirectory()).toEqual(['RECOVERYXLOG'])
  })

  it('is never placed: without another, nobody can tell', async () => {
    await spoil(copies.madrid)
    const inRecovery = await fetch(segment)
    expect(inRecovery.status).toBe(200)
    expect(inRecovery.stderr.match(/^pgarch: WARNING: /gm)).toHaveLength(2)
    makeStandby()
    expect((await fetch(segment)).status).toBe(75)
    expect(walDirectory()).toEqual([])
  })
})

it('a copy that nobody recorded, and that is not what its name says, is never placed', async () => {
  const unknown = '000000010000000000000B00'
  const file = storedFile(roots.madrid, fingerprint, unknown)
  const content = (segno: number) =>
    makeSegment({ segno, walSegmentSize: megabyte, systemIdentifier: identifier, fill: 3 })
  writeFileSync(file, await encoded(unknown, content(0xb01)))
  const { status, stderr } = await fetch(unknown)
  expect(status).toBe(200)
  expect(stderr).toMatch(new RegExp(`the copy of "${unknown}" is not valid: .*page address`))
  expect(walDirectory()).toEqual([])
  // The right one is taken, as after the loss of the scheduling database's newest rows.
  writeFileSync(file, await encoded(unknown, content(0xb00)))
  expect((await fetch(unknown)).status).toBe(0)
  expect(readFileSync(join(data, restored))).toEqual(content(0xb00))
  rmSync(file)
})

it.each([
  ['0077', '600'],
  ['0027', '640'],
])('with umask %s the file has mode %s', async (umask, mode) => {
  const { pgarch } = installation()
  const script = `umask ${umask}; exec "$0" fetch "$1" "$2"`
  const child = spawn('sh', ['-c', script, pgarch, segment, restored], {
    cwd: data,
    env: fleet.environment,
    stdio: 'ignore',
    ...asUnprivileged(),
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect((statSync(join(data, restored)).mode & 0o777).toString(8)).toBe(mode)
})

describe('the answer', () => {
  const missing = '0000000100000000000000FF'

  it('is 1 for what no path has', async () => {
    expect(await fetch(missing)).toMatchObject({ status: 1, stdout: '', stderr: '' })
    makeStandby()
    expect(await fetch(missing)).toMatchObject({ status: 1, stdout: '', stderr: '' })
  })

  it('counts disabled paths: they are read, and must answer', async () => {
    const name = await archiveSegment(primary)
    await fleet.admin('path', 'disable', 'berlin')
    await fleet.admin('route', 'disable', 'app', 'berlin')
    onTestFinished(async () => {
      await fleet.admin('path', 'enable', 'berlin')
      await fleet.admin('route', 'enable', 'app', 'berlin')
    })
    expect((await fetch(name)).status).toBe(0)
    const mark = join(roots.berlin, 'pgarch-path')
    const content = readFileSync(mark)
    rmSync(mark)
    const { status, stderr } = await fetch(missing, { environment: impatient })
    writeFileSync(mark, content)
    expect(status).toBe(200)
    expect(stderr).toContain('has no pgarch-path')
  })

  it('is not known while the scheduling database is down', async () => {
    const environment = { ...nobody, ...impatient }
    const inRecovery = await fetch(missing, { environment })
    expect(inRecovery.status).toBe(200)
    expect(inRecovery.stderr).toContain('scheduling database at 127.0.0.1:1')
    expect((await fetch(missing, { to: `pg_wal/${missing}`, environment })).status).toBe(200)
    makeStandby()
    expect((await fetch(missing, { environment })).status).toBe(75)
  })
})

describe('is not 1 where something could be missing in the answer itself:', () => {
  const missing = '0000000100000000000000FF'

  it('a cluster has no path yet', async () => {
    const host = makeHost('7000000000000000051')
    const made = makeSegment({
      segno: 5,
      walSegmentSize: megabyte,
      systemIdentifier: '7000000000000000051',
    })
    writeFileSync(join(host, 'pg_wal', '000000010000000000000005'), made)
    await fleet.admin('register', '--offline', '--name', 'bare', '--pgdata', host)
    data = host
    const { status, stderr } = await fetch(missing, { environment: impatient })
    expect(status).toBe(200)
    expect(stderr).toContain('cluster "bare" has no archive path to ask')
  })

  it('a copy of a cluster has all that is older with the other one', async () => {
    const shared = '7000000000000000052'
    const made = makeSegment({ segno: 5, walSegmentSize: megabyte, systemIdentifier: shared })
    const [first, second] = [makeHost(shared), makeHost(shared)]
    for (const host of [first, second]) {
      writeFileSync(join(host, 'pg_wal', '000000010000000000000005'), made)
    }
    await fleet.admin('register', '--offline', '--name', 'original', '--pgdata', first)
    await fleet.admin('register', '--offline', '--new', '--name', 'copied', '--pgdata', second)
    for (const name of ['original', 'copied']) {
      await fleet.admin('route', 'set', name, 'madrid', '--priority', '1')
    }
    data = second
    const { status, stderr } = await fetch(missing)
    expect(status).toBe(200)
    expect(stderr).toMatch(
      /"original" and cluster "copied" have one system identifier[\s\S]*--cluster/,
    )
    expect((await fetch(missing, { words: ['--cluster', 'copied'] })).status).toBe(1)
    expect((await fetch(missing, { words: ['--cluster', 'original'] })).status).toBe(1)
  })

  it('a standby of the scheduling database answers', async () => {
    const backup = join(fleet.folder, 'schedule-standby')
    await baseBackup(fleet.schedule, backup, { includeWal: true })
    const standby = await startFrom(backup, { signal: 'standby', settings: { hot_standby: true } })
    const environment = {
      ...impatient,
      PGARCH_SCHEDULE_URL: standby.url('pgarch', 'pgarch_agent'),
    }
    expect((await fetch(segment, { environment })).status).toBe(0)
    const { status, stderr } = await fetch(missing, { environment })
    expect(status).toBe(200)
    expect(stderr).toMatch(/a standby of the scheduling database answered[\s\S]*read-write/)
    await standby.stop('immediate')
  })
})

describe('a timeline history', () => {
  const history = '00000002.history'
  const to = 'pg_wal/RECOVERYHISTORY'
  const content = makeHistory([[1, '0/300000']])
  const environment = { ...nobody, ...impatient }

  it('of timeline 1 does not exist, whatever is down', async () => {
    expect(await fetch('00000001.history', { to, environment })).toMatchObject({ status: 1 })
  })

  it('that the server keeps itself is given to it when nothing answers', async () => {
    expect((await fetch(history, { to, environment })).status).toBe(200)
    writeFileSync(join(data, 'pg_wal', history), content)
    expect((await fetch(history, { to, environment })).status).toBe(0)
    expect(readFileSync(join(data, to))).toEqual(content)
  })

  it('comes from the scheduling database while the paths are down, and is remembered by a member', async () => {
    const member = makeHost('7000000000000000043')
    const segmentName = '000000010000000000000005'
    const made = makeSegment({
      segno: 5,
      walSegmentSize: megabyte,
      systemIdentifier: '7000000000000000043',
    })
    writeFileSync(join(member, 'pg_wal', segmentName), made)
    writeFileSync(join(member, 'pg_wal', history), content)
    markReady(member, history)
    await fleet.admin('register', '--offline', '--name', 'lines', '--pgdata', member)
    const root = await fleet.addPath('rome')
    await fleet.admin('route', 'set', 'lines', 'rome', '--priority', '1')
    const pushed = await fleet.pgarch(['push', `pg_wal/${history}`, history], { cwd: member })
    expect(pushed).toMatchObject({ status: 0, stderr: '' })
    rmSync(root, { recursive: true })
    rmSync(join(member, 'pg_wal', history))

    data = member
    expect(await fetch(history, { to })).toMatchObject({ status: 0, stderr: '' })
    rmSync(join(data, to))
    expect((await fetch(history, { to, environment })).status).toBe(0)
    expect(readFileSync(join(data, to))).toEqual(content)

    // Another cluster's, in the same data directory, are others.
    rmSync(join(data, to))
    await fleet.admin('register', '--offline', '--new', '--name', 'lines2', '--pgdata', member)
    expect((await fetch(history, { to, environment })).status).toBe(200)
  })
})

it('what a killed fetch left is removed by the next, and has no final name', async () => {
  const { pgarch } = installation()
  const inMidTransfer = line.holdAfter(400_000)
  const child = spawn(pgarch, ['fetch', segment, restored], {
    cwd: data,
    env: fleet.environment,
    stdio: 'ignore',
    detached: true,
    ...asUnprivileged(),
  })
  await inMidTransfer
  process.kill(-(child.pid ?? 0), 'SIGKILL')
  await once(child, 'close')
  expect(walDirectory()).toEqual([expect.stringMatching(/^RECOVERYXLOG\.pgarch-\d+-\d+\.tmp$/)])
  expect((await fetch(segment)).status).toBe(0)
  expect(walDirectory()).toEqual(['RECOVERYXLOG'])
})
