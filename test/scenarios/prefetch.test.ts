import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { storedFile, waitFor } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'
import {
  comingSegments,
  notingNode,
  readyFiles,
  readySegments,
  untilNothingLies,
  untilPrefetching,
  untilReady,
  untilSettled,
} from '../support/prefetch.ts'
import {
  holdBackReplay,
  letGo,
  type RecoveryScene,
  reload,
  setRecoveryScene,
  untilReplayed,
} from '../support/recovery-scene.ts'
import { isInRecovery, promote } from '../support/restored.ts'
import { fingerprintOf } from '../support/rows.ts'
import { processRuns, stateOf, workerLog } from '../support/worker.ts'

let scene: RecoveryScene

beforeAll(async () => {
  scene = await setRecoveryScene(10)
})

it('a standby replays what lies ready while neither path nor scheduling database answers, and does not take its end for that of WAL', async () => {
  const { fleet, sshd, root, archived } = scene
  const node = notingNode(fleet.folder)
  const standby = await scene.hold({ environment: { PGARCH_NODE: node.program } })
  const ready = archived.slice(1, 9)
  await untilReady(fleet, standby, ready)
  expect(standby.log()).not.toContain('pgarch: ')
  onTestFinished(async () => {
    renameSync(`${root}.away`, root)
    await fleet.schedule.start()
    await sshd.restart()
  })
  await sshd.stop()
  await fleet.schedule.stop('immediate')
  renameSync(root, `${root}.away`)
  await letGo(standby)
  await untilReplayed(standby, 1 + ready.length)
  await waitFor('Node.js is asked for the next', () => node.asked().includes(archived[9] ?? ''))
  await waitFor('it cannot tell', () => standby.log().includes('pgarch: WARNING'))
  expect(await isInRecovery(standby)).toBe(true)
  expect(readySegments(fleet, standby)).toEqual([])
})

it('is there before the server has taken its first segment into an empty pg_wal', async () => {
  const { fleet, archived } = scene
  const place = scene.newPlace()
  const pidFile = `${fleet.environment.PGARCH_STATE_DIR}${place}/@pgarch/prefetch.pid`
  const waiting = `until [ -e "${pidFile}" ]; do sleep 0.1; done`
  const standby = await scene.follow({
    place,
    settings: { restore_command: `${fleet.restoreSettings.restore_command} && ${waiting}` },
  })
  await untilReplayed(standby, archived.length)
  expect(standby.log()).not.toContain('pgarch: ')
  expect(workerLog(fleet, standby)).toBe('')
})

it('who is started beside it, by a recovery that was quicker than its start, tells it where that is', async () => {
  const { fleet, archived } = scene
  const standby = await scene.hold()
  await untilReady(fleet, standby, archived.slice(1, 9))
  const words = ['worker', standby.dataDirectory, '--prefetch-after', archived[1] ?? '']
  const ended = await fleet.pgarch([...words, '--wal-segment-size', '1048576'])
  expect(ended).toEqual({ status: 0, stdout: '', stderr: '' })
  await untilReady(fleet, standby, archived.slice(2, 10))
  await letGo(standby)
  await untilReplayed(standby, archived.length)
})

it('the end of the archive is quiet, and asked about once; when more arrives, it goes on', async () => {
  const { fleet, archived } = scene
  const standby = await scene.follow()
  await untilReplayed(standby, archived.length)
  await untilSettled(fleet, standby)
  expect(readySegments(fleet, standby)).toEqual([])

  // Nobody else asks the scheduling database any more: if it is asked, the worker is it.
  await reload(standby, { restore_command: 'false' })
  await untilSettled(fleet, standby)
  const before = await lastQuestion()
  await untilSettled(fleet, standby)
  expect(await lastQuestion()).toBeLessThanOrEqual(before)

  await holdBackReplay(standby)
  const old = archived.length
  for (let row = 0; row < 10; row++) await scene.addRow()
  await untilSettled(fleet, standby)
  expect(readySegments(fleet, standby)).toEqual([])
  await reload(standby, fleet.restoreSettings)
  await untilReady(fleet, standby, archived.slice(old + 1, old + 9))
  await letGo(standby)
  await untilReplayed(standby, archived.length)
  expect(standby.log()).not.toContain('pgarch: ')
  expect(workerLog(fleet, standby)).toBe('')
})

/** When a host last asked the scheduling database; 0 when it has closed its connection since. */
async function lastQuestion(): Promise<number> {
  const [row] = await scene.fleet.schedule.query<{ last: number }>(
    `select coalesce(max(extract(epoch from query_start)), 0)::float8 as last
     from pg_stat_activity where usename = 'pgarch_agent'`,
  )
  return row?.last ?? Number.NaN
}

describe('a stored copy is damaged', () => {
  async function damage(segment: string): Promise<void> {
    const { fleet, root } = scene
    const file = storedFile(root, await fingerprintOf(fleet, 'app'), segment)
    const whole = readFileSync(file)
    onTestFinished(() => writeFileSync(file, whole))
    writeFileSync(file, Buffer.from(whole).fill(7, 200, 260))
  }
  const warnings = (text: string) => text.match(/pgarch: WARNING.*/g) ?? []

  it('and is the only one: it never lies ready, what is before it does; it is told of once', async () => {
    const { fleet, archived } = scene
    await damage(archived[5] ?? '')
    const standby = await scene.hold()
    await waitFor('what is before lies ready', () =>
      archived.slice(1, 5).every((one) => readySegments(fleet, standby).includes(one)),
    )
    await untilSettled(fleet, standby)
    expect(readySegments(fleet, standby)).not.toContain(archived[5])
    await letGo(standby)
    await untilReplayed(standby, 5)
    await untilSettled(fleet, standby)
    expect(readySegments(fleet, standby)).not.toContain(archived[5])
    expect(warnings(workerLog(fleet, standby))).toEqual([
      expect.stringContaining(archived[5] ?? ''),
    ])
    expect(await isInRecovery(standby)).toBe(true)
  })

  it('and another path has a whole one: that lies ready, and is replayed', async () => {
    const { fleet, root, archived } = scene
    const fingerprint = await fingerprintOf(fleet, 'app')
    const other = await fleet.addPath('hamburg')
    await fleet.admin('route', 'set', 'app', 'hamburg', '--priority', '1')
    onTestFinished(async () => {
      rmSync(join(other, fingerprint), { recursive: true })
      await fleet.admin('route', 'remove', 'app', 'hamburg')
    })
    execFileSync('cp', ['-a', join(root, fingerprint), other])
    await damage(archived[5] ?? '')
    const standby = await scene.hold()
    await untilReady(fleet, standby, archived.slice(1, 9))
    await letGo(standby)
    await untilReplayed(standby, archived.length)
    expect(standby.log()).not.toContain('pgarch: ')
    expect(warnings(workerLog(fleet, standby))).toEqual([
      expect.stringContaining(archived[5] ?? ''),
    ])
  })
})

describe('its end leaves no process, and nothing lying there', () => {
  async function startAhead(environment: Record<string, string> = {}) {
    const { fleet, archived } = scene
    const standby = await scene.hold({ environment })
    const pid = await untilPrefetching(fleet, standby)
    await waitFor('it is ahead', () => readySegments(fleet, standby).includes(archived[2] ?? ''))
    return { standby, pid }
  }
  async function untilGone(standby: Server, pid: number): Promise<void> {
    await waitFor('it ends', () => !processRuns(pid))
    await untilNothingLies(scene.fleet, standby)
    expect(workerLog(scene.fleet, standby)).toBe('')
  }

  it('after a promotion', async () => {
    const { standby, pid } = await startAhead()
    await promote(standby)
    await untilGone(standby, pid)
    expect(standby.isRunning).toBe(true)
  })

  it.each(['fast', 'immediate'] as const)('with the server, stopped %s', async (mode) => {
    const { standby, pid } = await startAhead()
    await standby.stop(mode)
    await untilGone(standby, pid)
  })

  it('when it is idle', async () => {
    const { standby, pid } = await startAhead({ PGARCH_WORKER_IDLE: '2s' })
    await untilGone(standby, pid)
    expect(standby.isRunning).toBe(true)
  })

  it('though a transfer hangs', async () => {
    const { fleet, sshd, archived } = scene
    const { standby, pid } = await startAhead({
      PGARCH_FETCH_PREFETCH: '2',
      PGARCH_STALL_TIMEOUT: '1h',
    })
    await untilSettled(fleet, standby)
    onTestFinished(() => sshd.thaw())
    sshd.freeze()
    for (const file of readyFiles(fleet, standby)) rmSync(file) // which looks as if it were taken
    await waitFor('it transfers', () => comingSegments(fleet, standby).includes(archived[3] ?? ''))
    await standby.stop('immediate')
    await untilGone(standby, pid)
  })
})

describe('none is started', () => {
  let standby: Server
  const isStarted = () => existsSync(stateOf(scene.fleet, standby, 'worker.log'))
  const fetch = (words: string[]) =>
    scene.fleet.pgarch(['fetch', ...words], { cwd: standby.dataDirectory })

  it('with fetch.prefetch = 0', async () => {
    standby = await scene.follow({ environment: { PGARCH_FETCH_PREFETCH: '0' } })
    await untilReplayed(standby, scene.archived.length)
    expect(isStarted()).toBe(false)
  })

  it('for pg_rewind, for a person, with options, and where the server is process 1', async () => {
    const { fleet, archived } = scene
    const [name = ''] = archived
    standby = await scene.follow({ environment: { PGARCH_FETCH_PREFETCH: '0' } })
    // Whatever its command, a server removes RECOVERYXLOG before it runs it.
    await reload(standby, { restore_command: '' })
    const data = standby.dataDirectory
    const url = fleet.environment.PGARCH_SCHEDULE_URL ?? ''
    for (const words of [
      [name, `pg_wal/${name}`],
      [name, join(data, 'pg_wal', name)],
      [name, join(data, 'pg_wal/RECOVERYXLOG')],
      [name, './pg_wal/RECOVERYXLOG'],
      [name, '../elsewhere'],
      ['--cluster', 'app', name, 'pg_wal/RECOVERYXLOG'],
      ['--without', 'berlin2', name, 'pg_wal/RECOVERYXLOG'],
      ['--schedule', url, name, 'pg_wal/RECOVERYXLOG'],
      ['-c', name, 'pg_wal/RECOVERYXLOG'],
    ]) {
      expect({ words, ...(await fetch(words)) }).toMatchObject({ words, status: 0 })
      expect({ words, started: isStarted() }).toEqual({ words, started: false })
    }
    const pidFile = join(data, 'postmaster.pid')
    const own = readFileSync(pidFile, 'utf8')
    writeFileSync(pidFile, own.replace(/^\d+/, '1'))
    onTestFinished(() => writeFileSync(pidFile, own))
    expect(await fetch([name, 'pg_wal/RECOVERYXLOG'])).toMatchObject({ status: 0 })
    expect(isStarted()).toBe(false)
    writeFileSync(pidFile, own)
    expect(await fetch([name, 'pg_wal/RECOVERYXLOG'])).toMatchObject({ status: 0, stderr: '' })
    expect(isStarted()).toBe(true)
    await untilPrefetching(fleet, standby)
  })

  it('that does anything, for a server that is not in recovery', async () => {
    const { fleet, archived } = scene
    standby = await scene.follow({ environment: { PGARCH_FETCH_PREFETCH: '0' } })
    await promote(standby)
    const [name = ''] = archived
    const words = ['worker', standby.dataDirectory, '--prefetch-after', name]
    const ended = await fleet.pgarch([...words, '--wal-segment-size', '1048576'])
    expect(ended).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(existsSync(stateOf(fleet, standby, 'prefetch'))).toBe(false)
  })
})
