import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import {
  age,
  expectCleaned,
  expectStored,
  expectWhole,
  forgetLog,
  isStored,
  known,
  sha256Of,
  unfinished,
} from './archive.ts'
import { limit } from './extent.ts'
import { type Host, makeArchivingHost, segment, type Wal, writeWal } from './host.ts'
import { wake } from './state.ts'
import { killEverywhere, type Round } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined && findProgram('zstd') !== undefined

let fleet: Fleet
let host: Host
let root: string
/** The root of the host's local archive. */
let local: string
let count = 0

beforeAll(async () => {
  fleet = await startFleet()
})
beforeEach(async () => {
  const name = `path-${++count}`
  root = await fleet.addPath(name)
  const directory = makeFolder(fleet.folder, `local-${count}`)
  const environment = { PGARCH_LOCAL_ARCHIVE: directory, PGARCH_LOCAL_RESERVE: '1MB' }
  host = await makeArchivingHost(fleet, name, environment)
  const { memberId } = JSON.parse(readFileSync(join(host.stateDirectory, 'member.json'), 'utf8'))
  local = join(directory, memberId)
})

/** The path is gone, while `act` runs; what failed for it does not rest afterwards. */
async function withoutPath(act: () => Promise<void>): Promise<void> {
  renameSync(root, `${root}.away`)
  wake(host)
  try {
    await act()
  } finally {
    renameSync(`${root}.away`, root)
    wake(host)
  }
}

async function pushed(wal: Wal, seed: string): Promise<void> {
  expect(await host.push(writeWal(host, wal), { seed })).toMatchObject({ status: 0 })
}

async function drained(wals: readonly Wal[]): Promise<void> {
  expect(await host.run(['local', 'drain'])).toMatchObject({ status: 0 })
  for (const wal of wals) {
    expectStored(host, root, wal)
    expect(isStored(host, local, wal)).toBe(false)
    expect(await known(host, wal)).toMatchObject({ sha256: sha256Of(wal), copies: 1, local: 0 })
  }
}

describe.skipIf(!hasTools)('no path takes a file', () => {
  test('push to the local archive is killed at every system call', { timeout: limit }, async () => {
    async function check(wal: Wal, round: Round): Promise<void> {
      expectWhole(host, local, [wal])
      await pushed(wal, round.seed('b'))
      expectStored(host, local, wal)
      // The killed one's leftovers go with the next file that lies down beside them.
      age(unfinished(local))
      const next = segment(host, round.number, 2)
      await pushed(next, round.seed('c'))
      expect(unfinished(local)).toEqual([])
      renameSync(`${root}.away`, root)
      wake(host)
      await drained([wal, next])
      await expectCleaned(host, root, round)
      forgetLog(host, root, wal)
    }
    await killEverywhere({
      host,
      title: 'push to the local archive',
      folders: [local, host.stateDirectory, host.walDirectory],
      few: 6,
      async prepare({ number }) {
        renameSync(root, `${root}.away`)
        wake(host)
        return writeWal(host, segment(host, number, 1))
      },
      run: host.push,
      check,
    })
  })

  test('and then one does: draining is killed at every system call', {
    timeout: limit,
  }, async () => {
    const pair = ({ number }: Round) =>
      [segment(host, number, 1), segment(host, number, 2)] as const
    async function check(wal: Wal, round: Round): Promise<void> {
      expectWhole(host, root, pair(round))
      expectWhole(host, local, pair(round))
      for (const one of pair(round)) {
        expect(isStored(host, root, one) || isStored(host, local, one)).toBe(true)
      }
      await drained(pair(round))
      await expectCleaned(host, root, round)
      forgetLog(host, root, wal)
    }
    await killEverywhere({
      host,
      title: 'draining the local archive',
      folders: [root, local, host.stateDirectory],
      few: 4,
      async prepare(round) {
        const [first, second] = pair(round)
        await withoutPath(async () => {
          await pushed(first, round.seed('b'))
          await pushed(second, round.seed('c'))
        })
        return first
      },
      run: (_, options) => host.run(['local', 'drain'], options),
      check,
    })
  })
})
