import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { expectCleaned, expectStored, expectWhole, forgetLog, known, sha256Of } from './archive.ts'
import { type Disk, hasLoopDevices, makeDisk } from './disks.ts'
import { isFull, limit, report } from './extent.ts'
import { makeArchivingHost, makeHost, segment, type Wal, writeWal } from './host.ts'
import { beginOutage, forgetWritten, journalOf, wake } from './state.ts'
import { killEverywhere, type Round } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined && findProgram('zstd') !== undefined
const rounds = Array.from({ length: isFull ? 20 : 1 }, (_, index) => index)

describe.skipIf(!hasLoopDevices || !hasTools)('the power fails', () => {
  const folder = temporaryFolder('power')
  // Two, as an fsync on a disk brings all else that was changed on it along.
  let disk: Disk
  let stateDisk: Disk
  let fleet: Fleet
  let sshd: Sshd
  // Beyond any round's.
  let log = 1_000_000

  beforeAll(async () => {
    disk = makeDisk(folder.path, 'disk')
    stateDisk = makeDisk(folder.path, 'state-disk')
    const state = makeFolder(stateDisk.folder, 'state')
    fleet = await startFleet({ environment: { PGARCH_STATE_DIR: state } })
    sshd = await startSshd({ folder: fleet.folder })
    for (const name of ['berlin', 'hamburg']) makeFolder(disk.folder, name)
    for (const one of [disk, stateDisk]) one.settle()
    await fleet.addPath('berlin', { root: join(disk.folder, 'berlin') })
    await fleet.addPath('hamburg', { root: join(disk.folder, 'hamburg'), sshd })
  })
  afterAll(async () => {
    await sshd?.stop()
    for (const one of [disk, stateDisk]) await one?.remove()
    await folder.remove()
  })

  async function cutPower(): Promise<void> {
    for (const one of [disk, stateDisk]) await one.cutPower()
  }

  test('and takes what was written without fsync: the cut is a real one', async () => {
    for (const { folder: on } of [disk, stateDisk]) {
      writeFileSync(join(on, 'unsafe'), 'x'.repeat(100_000))
    }
    await cutPower()
    for (const { folder: on } of [disk, stateDisk]) {
      expect(existsSync(join(on, 'unsafe'))).toBe(false)
    }
  })

  test('right after register succeeded: the host is a member', async () => {
    const host = await makeHost({ fleet })
    await cutPower()
    await fleet.admin('route', 'set', host.name, 'berlin', '--priority', '1')
    const wal = writeWal(host, segment(host, ++log, 1))
    expect(await host.push(wal)).toMatchObject({ status: 0 })
  })

  test.each([
    ['locally', 'berlin'],
    ['over SFTP', 'hamburg'],
  ])(
    'right after push succeeded %s: file and route are there',
    { timeout: limit },
    async (how, path) => {
      const root = join(disk.folder, path)
      for (const _ of rounds) {
        const host = await makeArchivingHost(fleet, path)
        const wal = writeWal(host, segment(host, ++log, 1))
        expect(await host.push(wal)).toMatchObject({ status: 0 })
        await cutPower()
        expectStored(host, root, wal)
        expect(existsSync(join(host.stateDirectory, 'route.json'))).toBe(true)
        expect(await known(host, wal)).toEqual({
          sha256: sha256Of(wal),
          copies: 1,
          local: 0,
          stored: 1,
        })
        forgetLog(host, root, wal)
      }
      report(`power cut after push ${how}`, { cuts: rounds.length })
    },
  )

  test('right after push succeeded by the journal, and right after delivery', {
    timeout: limit,
  }, async () => {
    const root = join(disk.folder, 'berlin')
    const host = await makeArchivingHost(fleet, 'berlin')
    for (const _ of rounds) {
      const wal = writeWal(host, segment(host, ++log, 1))
      beginOutage(host)
      expect(await host.push(wal)).toMatchObject({ status: 0 })
      await cutPower()
      expectStored(host, root, wal)
      expect(journalOf(host)).toHaveLength(1)

      wake(host)
      for (const _twice of [1, 2]) {
        expect(await host.run(['journal', 'flush'])).toMatchObject({ status: 0 })
        await cutPower()
        expect(await known(host, wal)).toEqual({
          sha256: sha256Of(wal),
          copies: 1,
          local: 0,
          stored: 1,
        })
      }
      expect(journalOf(host)).toEqual([])
      forgetLog(host, root, wal)
    }
    report('power cut after push by the journal, and after delivery', { cuts: 3 * rounds.length })
  })

  test('at every system call of a push', { timeout: limit }, async () => {
    const root = join(disk.folder, 'berlin')
    const host = await makeArchivingHost(fleet, 'berlin')
    async function check(wal: Wal, round: Round): Promise<void> {
      await cutPower()
      expectWhole(host, root, [wal])
      const again = await host.push(wal, { seed: round.seed('b') })
      expect(again.status, again.stderr).toBe(0)
      await cutPower()
      expectStored(host, root, wal)
      expect(await known(host, wal)).toMatchObject({ sha256: sha256Of(wal), copies: 1, local: 0 })
      await expectCleaned(host, root, round)
      forgetLog(host, root, wal)
    }
    await killEverywhere({
      host,
      title: 'push killed, and the power cut',
      folders: [root, host.stateDirectory],
      few: 4,
      async prepare({ number }) {
        forgetWritten(host, root)
        return writeWal(host, segment(host, number, 1))
      },
      run: host.push,
      check,
    })
  })
})
