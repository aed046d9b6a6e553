import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  archiveSegment,
  endSegment,
  type Fleet,
  startFleet,
  untilArchived,
  waitFor,
  wakeArchiver,
} from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { installation } from '../support/installation.ts'
import type { Server } from '../support/postgres.ts'
import { copiesOf, fingerprintOf, triesOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'

let fleet: Fleet
let sshd: Sshd
let primary: Server
let berlin: string

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  berlin = await fleet.addPath('berlin', { sshd })
  primary = await fleet.startPrimary('app', ['berlin'])
  await archiveSegment(primary)
})

/** As a DBA, whatever comes of it. */
const dba = (...words: string[]) => fleet.pgarch(words, { admin: true })

/** What a listing says to programs. */
async function json<Value = Record<string, unknown>[]>(...words: string[]): Promise<Value> {
  const { stdout } = await dba(...words, '--json')
  return JSON.parse(stdout)
}

async function pathNames(): Promise<string[]> {
  const rows = await fleet.rows<{ name: string }>(
    'select name from pgarch.arch_path_info order by 1',
  )
  return rows.map(({ name }) => name)
}

function expectRefusal(finished: { status: number | null; stderr: string }, message: RegExp): void {
  expect(finished.stderr).toMatch(message)
  expect(finished.status).toBe(1)
}

describe('pgarch init', () => {
  it('can be repeated', async () => {
    const tables = () =>
      fleet.rows("select oid from pg_class where relnamespace = 'pgarch'::regnamespace")
    const before = await tables()
    expect(await fleet.admin('init')).toMatch(/^The schema is up to date, at version \d+\.\n$/)
    expect(await tables()).toEqual(before)
  })

  it('two at once make one schema, and one of them says what to do next', async () => {
    await fleet.schedule.query('create database twice')
    const runs = await Promise.all([1, 2].map(() => dba('init', fleet.schedule.url('twice'))))
    expect(runs.map(({ status, stderr }) => ({ status, stderr }))).toEqual([
      { status: 0, stderr: '' },
      { status: 0, stderr: '' },
    ])
    expect(runs.filter(({ stdout }) => stdout.includes('What to do next:'))).toHaveLength(1)
    const versions = await fleet.schedule.query(
      'select version from pgarch.schema_version order by 1',
      [],
      'twice',
    )
    expect(versions).toEqual(
      await fleet.rows('select version from pgarch.schema_version order by 1'),
    )
  })
})

describe('pgarch path', () => {
  it('add pins the host key that it was given, and no other', async () => {
    const root = makeFolder(fleet.folder, 'keys')
    const add = (...words: string[]) =>
      dba(
        'path',
        'add',
        'keys',
        '--root',
        root,
        '--ssh',
        `${sshd.user}@${sshd.host}:${sshd.port}`,
        ...words,
      )
    const wrong = sshd.hostKey.replace(/.{4}$/, 'AAAA')
    expectRefusal(
      await add('--host-key', wrong),
      /presents another host key than was given: ssh-ed25519 SHA256:/,
    )
    const asked = await add()
    expectRefusal(asked, /the host key of 127.0.0.1 was not confirmed: ssh-ed25519 SHA256:/)
    expect(asked.stderr).toContain(`--host-key "${sshd.hostKey}"`)
    expect(await pathNames()).not.toContain('keys')
    expect(existsSync(join(root, 'pgarch-path'))).toBe(false)

    const fingerprint = /SHA256:\S+/.exec(asked.stderr)?.[0] ?? ''
    expect((await add('--host-key', fingerprint)).status).toBe(0)
    expect((await json<{ hostKey: string; uuid: string }>('path', 'show', 'keys')).hostKey).toBe(
      sshd.hostKey,
    )
    expectRefusal(await add('--host-key', fingerprint), /another path has this name/)
    await fleet.admin('path', 'remove', 'keys')
  })

  it.each(['local', 'SFTP'])('add proves a %s root fit before it is saved', async (kind) => {
    const ssh =
      kind === 'local'
        ? []
        : ['--ssh', `${sshd.user}@${sshd.host}:${sshd.port}`, '--host-key', sshd.hostKey]
    const add = (name: string, root: string) => dba('path', 'add', name, '--root', root, ...ssh)
    const before = await pathNames()
    expectRefusal(
      await add('missing', join(fleet.folder, 'nowhere')),
      /there is no ".*nowhere"|no such file/,
    )
    expectRefusal(await add('closed', '/'), /permission denied|read-only/i)
    expectRefusal(await add('taken', berlin), /is another path's|already|another path has/)
    expect((await add('relative', 'some/where')).status).toBe(64)
    expect(await pathNames()).toEqual(before)
  })

  it('add refuses the same place twice, under whatever name', async () => {
    const root = await fleet.addPath('first')
    expectRefusal(
      await dba('path', 'add', 'second', '--root', root),
      /is another path's|another path has/,
    )
    expect(await pathNames()).not.toContain('second')
    await fleet.admin('path', 'remove', 'first')
  })

  it('test proves a path again, and finds what became of it', async () => {
    const root = await fleet.addPath('proved')
    expect(await fleet.admin('path', 'test', 'proved')).toMatch(
      /^Path "proved" is fit: it can write, sync, link, and refuses to overwrite, .* are free\.\n$/,
    )
    const mark = join(root, 'pgarch-path')
    const content = readFileSync(mark)
    writeFileSync(mark, content.toString().replace(/"path": "./, '"path": "x'))
    expectRefusal(await dba('path', 'test', 'proved'), /is another path's/)
    writeFileSync(mark, content)
    await fleet.admin('path', 'remove', 'proved')
  })

  it.each(['local', 'SFTP'])('a %s path that was removed can be added again', async (kind) => {
    const name = `again-${kind}`
    const root = await fleet.addPath(name, kind === 'SFTP' ? { sshd } : {})
    const mark = readFileSync(join(root, 'pgarch-path'))
    expect(await fleet.admin('path', 'remove', name)).toBe(`Removed path "${name}".\n`)
    expect(existsSync(join(root, 'pgarch-path'))).toBe(false)

    expect(await fleet.addPath(name, { root, ...(kind === 'SFTP' && { sshd }) })).toBe(root)
    writeFileSync(join(root, 'pgarch-path'), mark)
    const removed = await dba('path', 'remove', name)
    expect(removed).toMatchObject({ status: 0, stdout: `Removed path "${name}".\n` })
    expect(removed.stderr).toMatch(/but not the file pgarch-path .*: .*another path's\n.*by hand/)
    expect(readFileSync(join(root, 'pgarch-path'))).toEqual(mark)
    expectRefusal(await dba('path', 'add', name, '--root', root), /--adopt.*was removed/)
  })

  it('set moves a path to another port; files go on to it', async () => {
    const moved = await startSshd({ folder: fleet.folder })
    const set = ['path', 'set', 'berlin', '--ssh', `${moved.user}@${moved.host}:${moved.port}`]
    expectRefusal(await dba(...set), /was not confirmed/)
    await fleet.admin(...set, '--host-key', moved.hostKey)
    await sshd.stop()
    const name = await archiveSegment(primary)
    expect(await copiesOf(fleet, 'app')).toContainEqual({ file: name, path: 'berlin' })
    await sshd.restart()
    const back = `${sshd.user}@${sshd.host}:${sshd.port}`
    await fleet.admin('path', 'set', 'berlin', '--ssh', back, '--host-key', sshd.hostKey)
    await moved.stop()

    const elsewhere = makeFolder(fleet.folder, 'elsewhere')
    expectRefusal(await dba('path', 'set', 'berlin', '--root', elsewhere), /has no pgarch-path/)
    const { rootPath } = await json<{ rootPath: string }>('path', 'show', 'berlin')
    expect(rootPath).toBe(berlin)
  })

  it('disable sends files elsewhere, enable brings them back, and remove spares what holds files', async () => {
    await fleet.addPath('madrid')
    await fleet.admin('route', 'set', 'app', 'madrid', '--priority', '1')
    await fleet.admin('path', 'disable', 'berlin')
    const away = await archiveSegment(primary)
    await fleet.admin('path', 'enable', 'berlin')
    const back = await archiveSegment(primary)
    expect(await copiesOf(fleet, 'app')).toEqual(
      expect.arrayContaining([
        { file: away, path: 'madrid' },
        { file: back, path: 'berlin' },
      ]),
    )
    expectRefusal(await dba('path', 'remove', 'madrid'), /holds archived files|is in the route/)
    expectRefusal(await dba('route', 'remove', 'app', 'madrid'), /holds archived files/)
    expect(await pathNames()).toContain('madrid')
    await fleet.admin('route', 'disable', 'app', 'madrid')
  })
})

describe('pgarch route', () => {
  it('set, list, disable, enable and remove decide where files go', async () => {
    await fleet.addPath('paris')
    const names = async () =>
      (await json<{ pathName: string; active: boolean }[]>('route', 'list', 'app'))
        .filter(({ active }) => active)
        .map(({ pathName }) => pathName)
    expect(await fleet.admin('route', 'set', 'app', 'paris', '--priority', '-5')).toBe(
      'Path "paris" has priority -5 for cluster "app".\n',
    )
    expect(await names()).toEqual(['berlin', 'paris'])
    await fleet.admin('route', 'set', 'app', 'paris', '--priority', '500')
    expect(await names()).toEqual(['paris', 'berlin'])
    await fleet.admin('route', 'disable', 'app', 'paris')
    expect(await names()).toEqual(['berlin'])
    const name = await archiveSegment(primary)
    expect((await triesOf(fleet, 'app')).filter(({ file }) => file === name)).toEqual([
      { file: name, path: 'berlin', stored: true, error: null },
    ])
    await fleet.admin('route', 'enable', 'app', 'paris')
    expect(await names()).toEqual(['paris', 'berlin'])
    await fleet.admin('route', 'remove', 'app', 'paris')
    expect(await names()).toEqual(['berlin'])
    expectRefusal(await dba('route', 'remove', 'app', 'paris'), /not in the cluster's route/)
    expectRefusal(
      await dba('route', 'set', 'app', 'rome', '--priority', '1'),
      /path "rome" does not exist/,
    )
    expectRefusal(
      await dba('route', 'set', 'rome', 'berlin', '--priority', '1'),
      /cluster "rome" does not exist/,
    )
    await fleet.admin('path', 'remove', 'paris')
  })
})

describe('pgarch cluster', () => {
  it('set and rename change what listings say, by name, fingerprint or system identifier', async () => {
    const fingerprint = await fingerprintOf(fleet, 'app')
    const [{ systemIdentifier = '' } = {}] = await json<{ systemIdentifier: string }[]>(
      'cluster',
      'list',
    )
    await fleet.admin(
      'cluster',
      'set',
      'app',
      '--idc',
      'north',
      '--vip',
      '192.0.2.7',
      '--port',
      '5432',
    )
    await fleet.admin('cluster', 'rename', fingerprint, 'shop')
    const shown = await json<Record<string, unknown>>('cluster', 'show', systemIdentifier)
    expect(shown).toMatchObject({
      name: 'shop',
      idc: 'north',
      vip: '192.0.2.7',
      port: 5432,
      fingerprint,
    })
    const name = await archiveSegment(primary)
    expect(await copiesOf(fleet, 'shop')).toContainEqual({ file: name, path: 'berlin' })
    await fleet.admin('cluster', 'rename', 'shop', 'app')
    expect((await dba('cluster', 'set', 'app')).status).toBe(64)
  })

  it('pause lets WAL wait in pg_wal, start lets it follow', async () => {
    await fleet.admin('cluster', 'pause', 'app', '--reason', 'disk is replaced')
    const name = await endSegment(primary)
    await waitFor('push says why', () => /at pause by .*: disk is replaced/.test(primary.log()))
    const status = await dba('status', 'app')
    expect(status.status).toBe(1)
    expect(status.stdout).toMatch(/^paused \(.*@.*: disk is replaced\)$/m)
    expect((await copiesOf(fleet, 'app')).map(({ file }) => file)).not.toContain(name)
    await fleet.admin('cluster', 'start', 'app')
    await wakeArchiver(primary)
    await untilArchived(primary, name)
    expect(await copiesOf(fleet, 'app')).toContainEqual({ file: name, path: 'berlin' })
  })

  it('stop needs --yes-lose-wal, and then drops WAL: a gap that status does not forget', async () => {
    const refused = await dba('cluster', 'stop', 'app')
    expect(refused.status).toBe(64)
    expect(refused.stderr).toMatch(/HINT: .*--yes-lose-wal/)
    await fleet.admin('cluster', 'stop', 'app', '--yes-lose-wal', '--reason', 'bulk load')
    const name = await archiveSegment(primary)
    expect(primary.log()).toContain(`"${name}" of cluster "app" was dropped: archiving is stopped`)
    const gaps = 'select wal_name, switch_reason from pgarch.arch_gap'
    expect(await fleet.rows(gaps)).toEqual([{ wal_name: name, switch_reason: 'bulk load' }])
    expect((await copiesOf(fleet, 'app')).map(({ file }) => file)).not.toContain(name)
    expect((await dba('status', 'app')).stdout).toMatch(
      /^stopped, WAL is dropped \(.*: bulk load\)$/m,
    )

    await fleet.admin('cluster', 'start', 'app')
    const next = await archiveSegment(primary)
    expect(await copiesOf(fleet, 'app')).toContainEqual({ file: next, path: 'berlin' })
    const status = await dba('status', 'app')
    expect(status.status).toBe(1)
    expect(status.stdout).toMatch(/^1 file was dropped$/m)
  })
})

it('cluster retire refuses pushes, frees the name and keeps the files; reinstate takes it back', async () => {
  const old = await fleet.startPrimary('old', ['berlin'])
  const fingerprint = await fingerprintOf(fleet, 'old')
  await fleet.admin('cluster', 'set', 'old', '--idc', 'x', '--vip', '10.0.0.1', '--port', '5432')
  const kept = await archiveSegment(old)
  const retired = await dba('cluster', 'retire', 'old')
  expect(retired).toMatchObject({ status: 0, stdout: expect.stringContaining(fingerprint) })
  expect(retired.stderr).toMatch(/WARNING: {2}".*" on host ".*" archived at .* is refused now\n/)
  expectRefusal(await dba('cluster', 'retire', fingerprint), /is retired already/)
  const name = await endSegment(old)
  await waitFor('it is refused', () => old.log().includes('cluster "old" is retired'))
  const push = await fleet.pgarch(['push', `pg_wal/${name}`, name], { cwd: old.dataDirectory })
  expectRefusal(push, /ERROR: {2}cluster "old" is retired\n/)

  const other = await fleet.startPrimary('old', ['berlin'])
  await fleet.admin('cluster', 'set', 'old', '--idc', 'x', '--vip', '10.0.0.1', '--port', '5432')
  await archiveSegment(other)
  await other.stop('immediate')
  const fetched = join(makeFolder(fleet.folder, 'fetched'), 'segment')
  const fetch = await fleet.pgarch(['fetch', kept, fetched, '--cluster', fingerprint])
  expect(fetch).toMatchObject({ status: 0 })
  expect(existsSync(fetched)).toBe(true)

  expectRefusal(await dba('cluster', 'reinstate', fingerprint), /another cluster has this name/)
  await fleet.admin('cluster', 'rename', fingerprint, 'older')
  expectRefusal(await dba('cluster', 'reinstate', 'older'), /another cluster has this idc, vip/)
  await fleet.admin('cluster', 'set', 'old', '--port', '5433')
  await fleet.admin('cluster', 'reinstate', 'older')
  expectRefusal(await dba('cluster', 'reinstate', 'older'), /is not retired/)
  await wakeArchiver(old)
  await untilArchived(old, name)
  await old.stop('immediate')
  await fleet.admin('cluster', 'retire', 'old')
  await fleet.admin('cluster', 'retire', 'older')
})

describe('pgarch status and log', () => {
  it('tell of one cluster or all; log knows filters', async () => {
    const quiet = await fleet.startPrimary('quiet', ['berlin'])
    const last = await archiveSegment(quiet)
    await fleet.admin('cluster', 'pause', 'app')
    const all = await dba('status')
    await fleet.admin('cluster', 'start', 'app')
    expect(all.status).toBe(1)
    expect(all.stdout).toMatch(/^app .*paused/m)
    expect(all.stdout).toMatch(new RegExp(`^quiet .*${last}.*none$`, 'm'))
    expect((await dba('status', 'quiet')).status).toBe(0)

    sshd.kill()
    const late = await endSegment(quiet)
    await waitFor('a try failed', async () =>
      (await triesOf(fleet, 'quiet')).some(({ stored }) => !stored),
    )
    expect((await dba('status', 'quiet')).stdout).toMatch(/^\d+ failed tr(y|ies): path "berlin": /m)
    await sshd.restart()
    await wakeArchiver(quiet)
    await untilArchived(quiet, late)
    expect((await dba('status', 'quiet')).status).toBe(0)

    type Entry = { walName: string; clusterName: string; stored: boolean; error: string | null }
    const entries = await json<Entry[]>('log', 'quiet')
    expect(entries[0]).toMatchObject({
      walName: late,
      clusterName: 'quiet',
      stored: true,
      error: null,
    })
    const failed = await json<Entry[]>('log', '--failed')
    expect(failed.length).toBeGreaterThan(0)
    expect(failed.every(({ stored, error }) => !stored && error !== null)).toBe(true)
    expect(await json('log', 'quiet', '--since', '0ms')).toEqual([])
    expect(await json('log', 'quiet', '--since', '1h')).toEqual(entries)
    expect(await json('log', '--limit', '1')).toHaveLength(1)
    await quiet.stop('immediate')
  })

  it('--json of every listing has stable keys', async () => {
    const keys = async (...words: string[]) => {
      const value = await json<object | object[]>(...words)
      return Object.keys((Array.isArray(value) ? value[0] : value) ?? {})
    }
    expect(await keys('cluster', 'list')).toEqual(clusterKeys)
    expect(await keys('cluster', 'show', 'app')).toEqual([...clusterKeys, 'members', 'routes'])
    expect(await keys('path', 'list')).toEqual(pathKeys)
    expect(await keys('path', 'show', 'berlin')).toEqual(pathKeys)
    expect(await keys('route', 'list')).toEqual(routeKeys)
    expect(await keys('status')).toEqual(statusKeys)
    expect(await keys('log')).toEqual(logKeys)
  })
})

const clusterKeys = (
  'fingerprint name idc platform software version host vip port systemIdentifier walSegmentSize ' +
  'switch switchReason switchAuthor switchTime previousFingerprint routeVersion active createTime ' +
  'modifyTime'
).split(' ')
const pathKeys = (
  'id uuid name kind sshHost sshIp sshPort sshUser hostKey rootPath capacityBytes reserveBytes lostTime lostBy ' +
  'lostReason active createTime modifyTime clusters'
).split(' ')
const routeKeys =
  'fingerprint clusterName pathId pathName priority active pathActive createTime modifyTime'.split(
    ' ',
  )
const statusKeys = (
  'fingerprint name active createTime switch switchReason switchAuthor switchTime route activePaths ' +
  'lastWalName lastArchivedTime archiveTimeoutSeconds failures lastFailureTime lastError openConflicts ' +
  'droppedFiles lastDropTime lostFiles lostTime localFiles localTime walSegmentSize shipping cleanups members ' +
  'hosts hostsSeen asOf lostFilesAreCounted shippingLag severity concerns'
).split(' ')
const logKeys = (
  'time fingerprint clusterName walName pathName host fullPath stored walSize storedBytes ' +
  'durationMilliseconds error hostTime'
).split(' ')

describe('the command line', () => {
  it.each([
    [[]],
    [['nonsense']],
    [['path']],
    [['path', 'add', 'x']],
    [['path', 'show']],
    [['route', 'set', 'app', 'berlin']],
    [['route', 'set', 'app', 'berlin', '--priority', 'high']],
    [['cluster', 'show', 'app', '--nonsense']],
    [['log', '--since', 'yesterday']],
    [['register', '--member', '--new', '--name', 'x']],
    [['status', '--config', '/nonexistent/pgarch.toml']],
  ])('%j is a usage error', async (words) => {
    const { status, stdout, stderr } = await dba(...words)
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' })
    expect(stderr).toMatch(/^(pgarch: ERROR: |Usage: )/)
  })

  it('a database that cannot be reached is told in two lines, with a hint', async () => {
    const nobody = 'postgresql://postgres@127.0.0.1:1/pgarch'
    const { status, stdout, stderr } = await dba('log', '--schedule', nobody)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(
      /^pgarch: ERROR: {2}scheduling database at 127.0.0.1:1: .*\npgarch: HINT: {2}.*\.\n$|^pgarch: ERROR: {2}.*\npgarch: HINT: {2}.*\?\n$/,
    )
  })

  it.each([
    [['help'], 0],
    [['help', 'conflict'], 0],
    [['conflict', 'help', 'show'], 0],
    [['help', 'push'], 0],
    [['help', 'push', 'pg_wal/000000010000000000000007'], 64],
    [['help', 'nonsense'], 64],
    [['conflict'], 64],
    [[], 64],
  ])('%j shows how it is used, with status %i', async (words, expected) => {
    const { status, stdout, stderr } = await dba(...words)
    expect(status).toBe(expected)
    expect(stdout + stderr).toMatch(/^Usage: pgarch/)
  })

  it.each([
    ['status --host --json', 1],
    ['check --host', 3],
  ])('%j on a disk that is full has told nothing, with status %i', (words, expected) => {
    const line = `exec '${installation().pgarch}' ${words} >/dev/full`
    const { status, stderr } = spawnSync('/bin/sh', ['-c', line], {
      env: { ...fleet.environment },
      encoding: 'utf8',
      ...asUnprivileged(),
    })
    expect(stderr).toContain('ERROR:  could not write standard output: ')
    expect(status).toBe(expected)
  })

  it('every command has --help', async () => {
    const seen: string[] = []
    const explore = async (words: string[]): Promise<void> => {
      const { status, stdout, stderr } = await fleet.pgarch([...words, '--help'])
      // A monitoring plugin's help is no state that was looked at.
      const expected = words[0] === 'check' ? 3 : 0
      expect({ words, status, stderr }).toEqual({ words, status: expected, stderr: '' })
      expect(stdout).toMatch(new RegExp(`^Usage: pgarch ${words.join(' ')}`))
      seen.push(words.join(' '))
      const [, commands = ''] = stdout.split('\nCommands:\n')
      const names = [...commands.matchAll(/^ {2}([\w-]+)/gm)].map(([, name]) => name ?? '')
      await Promise.all(
        names.filter((name) => name !== 'help').map((name) => explore([...words, name])),
      )
    }
    await explore([])
    expect(seen).toEqual(
      expect.arrayContaining(['init', 'register', 'push', 'fetch', 'status', 'log']),
    )
    for (const one of ['path test', 'route remove', 'cluster stop']) expect(seen).toContain(one)
  })
})
