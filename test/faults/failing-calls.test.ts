import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Finished, type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import {
  age,
  expectCleaned,
  expectStored,
  expectWhole,
  forgetLog,
  known,
  sha256Of,
  unfinished,
} from './archive.ts'
import { limit } from './extent.ts'
import { type Host, makeArchivingHost, segment, targetOf, type Wal, writeWal } from './host.ts'
import { beginOutage, forgetWritten, journalOf, setRests, wake } from './state.ts'
import { failEverywhere, type Round } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined && findProgram('zstd') !== undefined

const changing = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS']
const errors = {
  fsync: ['EIO', 'ENOSPC', 'EDQUOT'],
  link: changing,
  mkdir: changing,
  openat: ['EIO', 'EMFILE'],
  read: ['EIO'],
  rename: changing,
  unlink: ['EIO', 'EROFS'],
  write: ['EIO', 'ENOSPC', 'EDQUOT'],
}
const texts =
  /i\/o error|no space left on device|disk quota exceeded|read-only file system|too many open files/

let fleet: Fleet
let host: Host
let root: string

beforeAll(async () => {
  fleet = await startFleet()
  root = await fleet.addPath('berlin')
  host = await makeArchivingHost(fleet, 'berlin')
})

/** It succeeded, or says in the operating system's words why it did not. */
function expectClear({ status, stderr }: Finished, failed: number): void {
  expect([0, failed]).toContain(status)
  expect(stderr).not.toContain('bug in pgarch')
  if (status !== 0) expect(stderr).toMatch(texts)
}

/** The same push once more, and it is archived and known; the record may have had to wait. */
async function expectHealed(wal: Wal, round: Round): Promise<void> {
  expect(await host.push(wal, { seed: round.seed('b') })).toMatchObject({ status: 0 })
  expectStored(host, root, wal)
  wake(host)
  expect(await host.run(['journal', 'flush'])).toMatchObject({ status: 0 })
  expect(await known(host, wal)).toMatchObject({ sha256: sha256Of(wal), copies: 1, local: 0 })
  await expectCleaned(host, root, round)
  forgetLog(host, root, wal)
}

describe.skipIf(!hasTools)('system calls fail, each once, with each error', () => {
  test('in a push: it fails clearly or does without, and the next one heals', {
    timeout: limit,
  }, async () => {
    async function check(wal: Wal, round: Round, ended: Finished): Promise<void> {
      expectClear(ended, 1)
      expectWhole(host, root, [wal])
      if (ended.status === 0) expectStored(host, root, wal)
      await expectHealed(wal, round)
    }
    await failEverywhere(
      {
        host,
        title: 'push to a local path',
        folders: [root, host.stateDirectory, host.walDirectory],
        few: 8,
        async prepare({ number }) {
          forgetWritten(host, root)
          setRests(host, { 1: { since: 0, failures: 1 } })
          return writeWal(host, segment(host, number, 1))
        },
        run: host.push,
        check,
      },
      errors,
    )
  })

  test('in a push to the journal: without a record it never succeeds', {
    timeout: limit,
  }, async () => {
    async function check(wal: Wal, round: Round, ended: Finished): Promise<void> {
      expectClear(ended, 1)
      expectWhole(host, root, [wal])
      // When rests.json could not be read, it was recorded at once.
      const recorded = journalOf(host).length + (await known(host, wal)).copies
      if (ended.status === 0) expect(recorded).toBe(1)
      beginOutage(host)
      await expectHealed(wal, round)
    }
    await failEverywhere(
      {
        host,
        title: 'push to the journal',
        folders: [host.stateDirectory],
        few: 4,
        async prepare({ number }) {
          rmSync(join(host.stateDirectory, 'journal'), { recursive: true, force: true })
          beginOutage(host)
          return writeWal(host, segment(host, number, 1))
        },
        run: host.push,
        check,
      },
      errors,
    )
  })

  test('in a fetch: it never says absent, and %p is whole or not there', {
    timeout: limit,
  }, async () => {
    const wal = writeWal(host, segment(host, 1, 1))
    expect(await host.push(wal)).toMatchObject({ status: 0 })
    writeFileSync(join(host.dataDirectory, 'recovery.signal'), '')
    const target = join(host.dataDirectory, targetOf(wal.name))
    await failEverywhere(
      {
        host,
        title: 'fetch from a local path',
        folders: [root, host.stateDirectory, host.walDirectory],
        few: 4,
        async prepare() {
          forgetWritten(host, root)
          return wal
        },
        run: host.fetch,
        async check(_, round, ended) {
          expectClear(ended, 200)
          expect(existsSync(target)).toBe(ended.status === 0)
          expect(await host.fetch(wal, { seed: round.seed('b') })).toMatchObject({ status: 0 })
          expect(readFileSync(target).equals(wal.content)).toBe(true)
          age(unfinished(host.stateDirectory))
          expect(unfinished(host.walDirectory)).toEqual([])
        },
      },
      errors,
    )
  })
})
