import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import {
  expectCleaned,
  expectStored,
  expectWhole,
  forgetLog,
  isStored,
  known,
  sha256Of,
} from './archive.ts'
import { limit } from './extent.ts'
import { makeArchivingHost, segment, type Wal, writeWal } from './host.ts'
import { forgetWritten, setRests } from './state.ts'
import { killEverywhere, type Round } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined && findProgram('zstd') !== undefined

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
})
afterAll(() => sshd.stop())

const paths = [
  ['a local path', 'berlin', async () => await fleet.addPath('berlin')],
  ['SFTP', 'hamburg', async () => await fleet.addPath('hamburg', { sshd })],
] as const

describe.skipIf(!hasTools)('push is killed, and called again', () => {
  test.each(paths)(
    'at every system call, on its way to %s',
    { timeout: limit },
    async (to, name, add) => {
      const root = await add()
      const host = await makeArchivingHost(fleet, name)
      const [path] = await fleet.rows<{ id: number }>(
        'select id from pgarch.arch_path_info where name = $1',
        [name],
      )

      async function prepare({ number }: Round): Promise<Wal> {
        forgetWritten(host, root)
        setRests(host, { [path?.id ?? 0]: { since: 0, failures: 1 } })
        return writeWal(host, segment(host, number, 1))
      }

      async function check(wal: Wal, round: Round): Promise<void> {
        expectWhole(host, root, [wal])
        if ((await known(host, wal)).copies > 0) expect(isStored(host, root, wal)).toBe(true)

        const again = await host.push(wal, { seed: round.seed('b') })
        expect(again).toMatchObject({ status: 0 })
        expectStored(host, root, wal)
        const { stored, ...rest } = await known(host, wal)
        expect(rest).toEqual({ sha256: sha256Of(wal), copies: 1, local: 0 })
        expect(stored).toBeGreaterThan(0)

        await expectCleaned(host, root, round)
        forgetLog(host, root, wal)
      }

      await killEverywhere({
        host,
        title: `push to ${to}`,
        folders: [root, host.stateDirectory, host.walDirectory],
        few: 6,
        prepare,
        run: host.push,
        check,
      })
    },
  )
})
