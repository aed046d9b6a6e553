import { chmodSync, chownSync, mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unprivileged } from './unprivileged.ts'

/** A new folder that the unprivileged user owns and everybody can pass through. */
export function makeFolder(parent: string, name: string): string {
  const folder = join(parent, name)
  mkdirSync(folder, { mode: 0o755 })
  ownByUnprivileged(folder)
  return folder
}

/**
 * A throwaway folder, and how to remove it; call `remove` in afterAll, afterEach or onTestFinished,
 * after everything that was started in it has ended.
 */
export function temporaryFolder(purpose: string): { path: string; remove(): Promise<void> } {
  const path = mkdtempSync(join(tmpdir(), `pgarch-${purpose}-`))
  chmodSync(path, 0o755)
  ownByUnprivileged(path)
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) }
}

export function ownByUnprivileged(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, unprivileged.uid, unprivileged.gid)
}
