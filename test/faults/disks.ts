import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../support/fleet.ts'
import { makeFolder, ownByUnprivileged } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'

const isRoot = process.getuid?.() === 0

/** Root may mount; containers often have no loop devices. In CI a machine that has them must do. */
export const hasLoopDevices =
  isRoot &&
  existsSync('/dev/loop-control') &&
  findProgram('mkfs.ext4') !== undefined &&
  findProgram('perl') !== undefined

export const canMount = isRoot

const mounted = new Set<string>()
// Disks end with the process that runs the test file, whatever became of its hooks.
process.on('exit', () => {
  for (const folder of mounted) spawnSync('umount', ['--lazy', folder])
})

/** An ext4 file system that can lose its power. */
export interface Disk {
  readonly folder: string
  /** Everything so far is written, as if days had gone by. */
  settle(): void
  /** What was not fsynced is lost; resolves when the disk is mounted again. */
  cutPower(): Promise<void>
  remove(): Promise<void>
}

/** EXT4_IOC_SHUTDOWN of ext4.h, with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing more reaches the disk. */
const shutdown =
  'open my $d, "<", $ARGV[0] or die $!; my $flags = pack "L", 2; ioctl $d, 0x8004587d, $flags or die $!'

export function makeDisk(parent: string, name: string): Disk {
  const folder = makeFolder(parent, name)
  const image = join(parent, `${name}.image`)
  execFileSync('truncate', ['-s', '1G', image])
  execFileSync('mkfs.ext4', ['-q', '-F', image])
  const mountAgain = () => mount(['-o', 'loop', image, folder], folder)
  mountAgain()
  ownByUnprivileged(folder)
  const settle = () => execFileSync('sync', ['-f', folder])
  settle()
  return {
    folder,
    settle,
    async cutPower() {
      execFileSync('perl', ['-e', shutdown, folder])
      await unmount(folder)
      await untilDetached(image)
      mountAgain()
    },
    remove: () => unmount(folder),
  }
}

/** A disk in memory; `options` as mount(8) has them for tmpfs. */
export function mountMemory(folder: string, options: string): { remount(options: string): void } {
  mount(['-t', 'tmpfs', '-o', options, 'pgarch-test', folder], folder)
  ownByUnprivileged(folder)
  return { remount: (change) => execFileSync('mount', ['-o', `remount,${change}`, folder]) }
}

function mount(words: readonly string[], folder: string): void {
  execFileSync('mount', words)
  mounted.add(folder)
}

/**
 * A namespace that another test makes begins with a copy of every mount. While one lives, the file
 * system does too, and mounting its image again would give back the one that was shut down.
 */
async function untilDetached(image: string): Promise<void> {
  const devices = () => execFileSync('losetup', ['--associated', image], { encoding: 'utf8' })
  await waitFor(`nobody has "${image}" mounted`, () => devices() === '')
}

/** A server's session that has just ended may still be in it. */
export async function unmount(folder: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      execFileSync('umount', [folder], { stdio: ['ignore', 'ignore', 'pipe'] })
      mounted.delete(folder)
      return
    } catch (error) {
      if (tries === 100) throw error
      await sleep(50)
    }
  }
}
