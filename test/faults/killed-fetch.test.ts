import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { makeHistory } from '../support/wal.ts'
import { age, unfinished } from './archive.ts'
import { limit } from './extent.ts'
import { type Host, makeArchivingHost, segment, targetOf, type Wal, writeWal } from './host.ts'
import { forgetWritten } from './state.ts'
import { killEverywhere } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin')
  await fleet.addPath('hamburg', { sshd })
})
afterAll(() => sshd.stop())

const history = { name: '00000002.history', content: makeHistory([[1, '0/3000000']]) }

const cases: [what: string, path: string, wal: (host: Host) => Wal][] = [
  ['a segment from a local path', 'berlin', (host) => segment(host, 1, 1)],
  ['a segment over SFTP', 'hamburg', (host) => segment(host, 1, 1)],
  ['a timeline history', 'berlin', () => history],
]

describe.skipIf(!hasTools)('fetch is killed, and called again', () => {
  test.each(cases)(
    'at every system call, for %s',
    { timeout: limit },
    async (what, path, walOf) => {
      const host = await makeArchivingHost(fleet, path)
      const wal = writeWal(host, walOf(host))
      expect(await host.push(wal)).toMatchObject({ status: 0 })
      writeFileSync(join(host.dataDirectory, 'recovery.signal'), '')
      const target = join(host.dataDirectory, targetOf(wal.name))
      const root = join(fleet.folder, path)

      await killEverywhere({
        host,
        title: `fetch of ${what}`,
        folders: [host.walDirectory, host.stateDirectory, root],
        few: 4,
        async prepare() {
          forgetWritten(host, root)
          return wal
        },
        async run(_, options) {
          const ended = await host.fetch(wal, options)
          // 200: PostgreSQL stops, and does not take it for the end of WAL.
          expect([0, 200]).toContain(ended.status)
          return ended
        },
        async check(_, round) {
          if (existsSync(target)) expect(readFileSync(target).equals(wal.content)).toBe(true)
          age(unfinished(host.stateDirectory))
          forgetWritten(host, root)
          expect(await host.fetch(wal, { seed: round.seed('b') })).toMatchObject({ status: 0 })
          expect(readFileSync(target).equals(wal.content)).toBe(true)
          expect(unfinished(host.walDirectory, host.stateDirectory)).toEqual([])
        },
      })
    },
  )
})
