import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { canMount, mountMemory, unmount } from './disks.ts'
import { limit } from './extent.ts'
import { endure, impatient, layGround } from './takeover.ts'

const hasTools = findProgram('zstd') !== undefined
const title = 'the disk of the first path fails; the second takes over, until it is back'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet({ environment: impatient })
  sshd = await startSshd({ folder: fleet.folder })
})
afterAll(() => sshd.stop())

describe.skipIf(!hasTools || !canMount).each(['local', 'SFTP'])(
  `${title}: %s`,
  { timeout: limit },
  (kind) => {
    /** On a disk in memory; it may be filled to the last byte, against all good advice. */
    async function layOnDisk(options: string) {
      let remount = (_change: string) => {}
      const ground = await layGround(fleet, async (name, root) => {
        remount = mountMemory(root, options).remount
        onTestFinished(() => unmount(root))
        await fleet.addPath(name, kind === 'local' ? { root } : { root, sshd })
        await fleet.admin('path', 'set', name, '--reserve', '0B')
      })
      return { ground, remount }
    }

    test('it has no inodes left', async () => {
      const { ground } = await layOnDisk('size=256m,nr_inodes=100')
      const fillers = Array.from({ length: 100 }, (_, number) => join(ground.first, `${number}`))
      await endure(ground, {
        what: `no inodes, ${kind}`,
        begin: () =>
          untilFull(() => {
            for (const filler of fillers) writeFileSync(filler, '')
          }),
        end() {
          for (const filler of fillers) rmSync(filler, { force: true })
        },
        says: kind === 'local' ? /no space left on device/ : /no inodes left on device/,
      })
    })

    test('it is full', async () => {
      const { ground } = await layOnDisk('size=64m')
      const filler = join(ground.first, 'filler')
      await endure(ground, {
        what: `a full disk, ${kind}`,
        begin: () => untilFull(() => writeFileSync(filler, Buffer.alloc(64 * 1024 * 1024))),
        end: () => rmSync(filler),
        says: /no space left on device/,
      })
    })

    test('it is read-only', async () => {
      const { ground, remount } = await layOnDisk('size=256m')
      await endure(ground, {
        what: `a read-only disk, ${kind}`,
        begin: () => remount('ro'),
        end: () => remount('rw'),
        says: /read-only file system/,
      })
    })
  },
)

function untilFull(write: () => void): void {
  try {
    write()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
    throw error
  }
  throw new Error('the disk is larger than it should be')
}
