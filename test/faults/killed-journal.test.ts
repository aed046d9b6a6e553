import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { expectCleaned, expectStored, expectWhole, forgetLog, known, sha256Of } from './archive.ts'
import { limit } from './extent.ts'
import { type Host, makeArchivingHost, segment, type Wal, writeWal } from './host.ts'
import { beginOutage, journalOf, wake } from './state.ts'
import { killEverywhere, type Round } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined && findProgram('zstd') !== undefined

let fleet: Fleet
let host: Host
let root: string

beforeAll(async () => {
  fleet = await startFleet()
  root = await fleet.addPath('berlin')
})
beforeEach(async () => {
  host = await makeArchivingHost(fleet, 'berlin')
})

async function flush(): Promise<void> {
  const flushed = await host.run(['journal', 'flush'])
  expect(flushed).toMatchObject({ status: 0 })
  expect(journalOf(host)).toEqual([])
}

describe.skipIf(!hasTools)('the scheduling database is down', () => {
  test('push is killed at every system call, and called again', { timeout: limit }, async () => {
    async function check(wal: Wal, round: Round): Promise<void> {
      expectWhole(host, root, [wal])
      expect(await host.push(wal, { seed: round.seed('b') })).toMatchObject({ status: 0 })
      expectStored(host, root, wal)
      const records = journalOf(host).length
      expect(records).toBeGreaterThan(0)

      wake(host)
      await flush()
      expect(await known(host, wal)).toEqual({
        sha256: sha256Of(wal),
        copies: 1,
        local: 0,
        stored: records,
      })
      await expectCleaned(host, root, round)
      forgetLog(host, root, wal)
    }
    await killEverywhere({
      host,
      title: 'push to a local path and the journal',
      folders: [root, host.stateDirectory, host.walDirectory],
      few: 4,
      async prepare({ number }) {
        rmSync(join(host.stateDirectory, 'journal'), { recursive: true, force: true })
        beginOutage(host)
        return writeWal(host, segment(host, number, 1))
      },
      run: host.push,
      check,
    })
  })

  test('and then back: delivery is killed at every system call, and repeated', {
    timeout: limit,
  }, async () => {
    const pair = ({ number }: Round) =>
      [segment(host, number, 1), segment(host, number, 2)] as const
    async function prepare(round: Round): Promise<Wal> {
      beginOutage(host)
      const [first, second] = pair(round)
      for (const [wal, use] of [
        [first, 'b'],
        [second, 'c'],
      ] as const) {
        expect(await host.push(writeWal(host, wal), { seed: round.seed(use) })).toMatchObject({
          status: 0,
        })
      }
      expect(journalOf(host)).toHaveLength(2)
      wake(host)
      return first
    }
    async function check(wal: Wal, round: Round): Promise<void> {
      await flush()
      for (const one of pair(round)) {
        expectStored(host, root, one)
        expect(await known(host, one)).toEqual({
          sha256: sha256Of(one),
          copies: 1,
          local: 0,
          stored: 1,
        })
      }
      await expectCleaned(host, root, round)
      forgetLog(host, root, wal)
    }
    await killEverywhere({
      host,
      title: 'delivery of the journal',
      folders: [root, host.stateDirectory, host.walDirectory],
      few: 4,
      prepare,
      run: (_, options) => host.run(['journal', 'flush'], options),
      check,
    })
  })
})
