import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { countOf, isInRecovery, timelineOf, untilPrimary } from '../support/restored.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  archiveNumbers,
  processesOf,
  startSource,
  startWaiting,
  untilAtEnd,
  untilReplayed,
} from '../support/waiting.ts'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet({ environment: { PGARCH_FETCH_PATIENCE: '1min' } })
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})

/** So that a test that fails leaves nothing broken to the next one. */
afterEach(async () => {
  if (!fleet.schedule.isRunning) await fleet.schedule.start()
  if (sshd.pid === undefined) await sshd.restart()
})

/** A standby that has replayed 300 numbers and waits, of a primary that is gone. */
async function waiting(
  name: string,
  options = '--sleep 60',
  environment: Record<string, string> = {},
) {
  const { primary, backup } = await startSource(fleet, name, ['berlin'])
  const standby = await startWaiting(fleet, backup, options, { environment })
  await archiveNumbers(primary)
  await archiveNumbers(primary)
  await untilReplayed(standby.server, 300)
  await primary.stop()
  await untilAtEnd(fleet, name, standby.server)
  return { ...standby, processes: () => processesOf(standby) }
}

describe('every path and the scheduling database are dead', () => {
  it('smart waits on and says how to force it; fast makes the server a primary', async () => {
    const { server, trigger, triggerFile } = await waiting('dead')
    await fleet.schedule.stop('immediate')
    sshd.kill()
    trigger('smart')
    await waitFor('it says how to end it', () => server.log().includes('write "fast"'))
    expect(await isInRecovery(server)).toBe(true)
    trigger('fast\n')
    await untilPrimary(server)
    expect(readFileSync(triggerFile, 'utf8')).toBe('')
    expect(await timelineOf(server)).toBe(2)
    expect(await countOf(server, 'numbers')).toBe(300)
    await server.query('insert into numbers values (301)')
    expect(server.log()).toContain('could not be asked: scheduling database')
    expect(server.log()).toContain('"00000002.history" counts as absent, by a fast trigger')
  })

  it('fast does so, too, where a call can leave no note to the next', async () => {
    const { server, trigger, triggerFile } = await waiting('noteless', '--sleep 60', {
      PGARCH_STATE_DIR: '/proc/nowhere',
    })
    await fleet.schedule.stop('immediate')
    sshd.kill()
    trigger('fast\n')
    await untilPrimary(server)
    expect(readFileSync(triggerFile, 'utf8')).toBe('fast\n')
    expect(await timelineOf(server)).toBe(2)
    expect(await countOf(server, 'numbers')).toBe(300)
  })

  // The server ignores SIGINT, and so does the shell that it starts.
  it.each([
    ['SIGUSR1', 'the launcher', true],
    ['SIGINT', 'Node.js', false],
  ] as const)('%s for %s does so, too', async (signal, _, isForLauncher) => {
    const { server, processes } = await waiting(signal.toLowerCase())
    await fleet.schedule.stop('immediate')
    sshd.kill()
    const [one] = processes().filter(({ isLauncher }) => isLauncher === isForLauncher)
    process.kill(one?.pid ?? Number.NaN, signal)
    await untilPrimary(server)
    expect(await timelineOf(server)).toBe(2)
    expect(await countOf(server, 'numbers')).toBe(300)
    expect(processes()).toEqual([])
  })
})

it('one path is dead: smart waits until it answers, and then ends by itself', async () => {
  const second = await startSshd({ folder: fleet.folder })
  await fleet.addPath('madrid', { sshd: second })
  onTestFinished(async () => {
    await fleet.pgarch(['path', 'disable', 'madrid'], { admin: true })
    await second.stop()
  })
  const { server, trigger } = await waiting('half', '--sleep 1')
  await fleet.admin('route', 'set', 'half', 'madrid', '--priority', '1')
  second.kill()
  trigger('')
  await waitFor('it says how to end it', () => server.log().includes('write "fast"'))
  expect(await isInRecovery(server)).toBe(true)
  await second.restart()
  await untilPrimary(server)
  expect(await countOf(server, 'numbers')).toBe(300)
  expect(server.log()).toContain('can tell again whether')
})

it.each([
  ['says something else', 'slow', 'says neither "smart" nor "fast", and is ignored'],
  ['cannot be read', undefined, 'could not read trigger file'],
])('a trigger file that %s is warned of once, and ends nothing', async (_, content, message) => {
  const { server, trigger, triggerFile } = await waiting(
    content === undefined ? 'unreadable' : 'slow',
    '--sleep 1',
  )
  if (content === undefined) mkdirSync(triggerFile)
  else trigger(content)
  await waitFor('it is warned of', () => server.log().includes(message))
  await sleep(2500)
  expect(server.log().split(message)).toHaveLength(2)
  expect(await isInRecovery(server)).toBe(true)
  rmSync(triggerFile, { recursive: true })
  trigger('smart')
  await untilPrimary(server)
})

it.each(['fast', 'immediate'] as const)(
  'the server is stopped, %s: launcher and Node.js are gone at once, and a restart goes on',
  async (mode) => {
    const { server, trigger, processes } = await waiting(`stop-${mode}`)
    expect(processes()).toHaveLength(2)
    await server.stop(mode)
    // An immediate one does not wait for the last of them.
    await waitFor('all are gone', () => processes().length === 0)
    await server.start()
    await untilReplayed(server, 300)
    expect(await isInRecovery(server)).toBe(true)
    trigger('smart')
    await untilPrimary(server)
  },
)

it.each([
  ['launcher', ({ launcher }: { launcher: number }) => launcher],
  ['postmaster', ({ postmaster }: { postmaster: number }) => postmaster],
])('the %s is killed: nothing goes on waiting', async (who, pidOf) => {
  const { server, processes } = await waiting(`killed-${who}`, '--sleep 1')
  const launcher = processes().find(({ isLauncher }) => isLauncher)?.pid ?? Number.NaN
  process.kill(pidOf({ launcher, postmaster: server.pid ?? Number.NaN }), 'SIGKILL')
  await server.ended()
  await waitFor('all are gone', () => processes().length === 0)
  await server.start()
  await untilReplayed(server, 300)
})
