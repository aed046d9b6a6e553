import { mkdirSync, statfsSync } from 'node:fs'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { canMount, mountMemory, unmount } from '../faults/disks.ts'
import { makeFolder } from '../support/folder.ts'
import {
  notingNode,
  readySegments,
  takenReady,
  untilNothingLies,
  untilReady,
  untilSettled,
} from '../support/prefetch.ts'
import {
  letGo,
  type RecoveryScene,
  setRecoveryScene,
  untilReplayed,
} from '../support/recovery-scene.ts'
import { workerLog } from '../support/worker.ts'

const megabyte = 1024 ** 2

let scene: RecoveryScene

beforeAll(async () => {
  scene = await setRecoveryScene(14)
})

it.each([1, 3, 10])('fetches as many ahead as fetch.prefetch says: %i', async (most) => {
  const { fleet, archived } = scene
  const standby = await scene.hold({ environment: { PGARCH_FETCH_PREFETCH: String(most) } })
  await untilReady(fleet, standby, archived.slice(1, 1 + most))
  await untilSettled(fleet, standby)
  expect(readySegments(fleet, standby)).toEqual(archived.slice(1, 1 + most))
  await letGo(standby)
  await untilReplayed(standby, archived.length)
})

describe.runIf(canMount)('the state directory is on another, small disk', () => {
  it('the reserve of free space is left alone, and recovery takes what lies there', async () => {
    const { fleet, archived } = scene
    const place = scene.newPlace()
    const state = `${fleet.environment.PGARCH_STATE_DIR}${place}/@pgarch`
    mkdirSync(state, { recursive: true })
    mountMemory(state, 'size=16m')
    onTestFinished(() => unmount(state))
    const freeBytes = () => {
      const { bavail, bsize } = statfsSync(state)
      return bavail * bsize
    }
    const node = notingNode(makeFolder(fleet.folder, 'noting'))
    const standby = await scene.hold({
      place,
      environment: {
        PGARCH_NODE: node.program,
        PGARCH_FETCH_PREFETCH: '64',
        PGARCH_FETCH_PREFETCH_RESERVE: '8MB',
      },
    })
    await untilSettled(fleet, standby)
    const ready = readySegments(fleet, standby)
    expect(ready).toEqual(archived.slice(1, 1 + ready.length))
    expect(freeBytes()).toBeGreaterThanOrEqual(8 * megabyte)
    expect(freeBytes()).toBeLessThan(9 * megabyte)

    await letGo(standby)
    await untilReplayed(standby, archived.length)
    expect(node.asked()).toContain(archived[0])
    expect(takenReady(standby, node)).toEqual(expect.arrayContaining(ready))
    expect(standby.log()).not.toContain('pgarch: ')
    expect(workerLog(fleet, standby)).toBe('')
    await standby.stop('fast')
    await untilNothingLies(fleet, standby)
    expect(freeBytes()).toBeGreaterThan(15 * megabyte)
  })
})
