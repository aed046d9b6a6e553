import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ownByUnprivileged } from '../support/folder.ts'

const run = promisify(execFile)

/** Mounts 4 MiB of memory over a folder, as its own disk; root only. */
export async function mountSmallDisk(folder: string): Promise<{
  remountReadOnly(): Promise<void>
  unmount(): Promise<void>
}> {
  await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'pgarch-test', folder])
  ownByUnprivileged(folder)
  return {
    async remountReadOnly() {
      await run('mount', ['-o', 'remount,ro', folder])
    },
    async unmount() {
      await run('umount', [folder])
    },
  }
}
