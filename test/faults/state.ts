import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ownByUnprivileged } from '../support/folder.ts'
import type { Host } from './host.ts'

/** What failed before, as rests.json of the state directory has it. */
export function setRests(
  { stateDirectory }: Host,
  rests: Readonly<Record<string, { since: number; failures: number }>>,
): void {
  const file = join(stateDirectory, 'rests.json')
  writeFileSync(file, JSON.stringify(rests))
  ownByUnprivileged(file)
}

/** What is written once, on the host and on the path below `root`, has to be written again. */
export function forgetWritten({ stateDirectory, fingerprint }: Host, root: string): void {
  for (const name of ['route.json', 'paths.json', 'manifests', 'history']) {
    rmSync(join(stateDirectory, name), { recursive: true, force: true })
  }
  rmSync(join(root, fingerprint, 'manifest.json'), { force: true })
}

/** From now on nobody asks the scheduling database, as if it had just failed. */
export function beginOutage(host: Host): void {
  setRests(host, { schedule: { since: Date.now(), failures: 1 } })
}

/** Nothing rests any more. */
export function wake({ stateDirectory }: Host): void {
  rmSync(join(stateDirectory, 'rests.json'), { force: true })
}

/** Names of the records that wait. */
export function journalOf({ stateDirectory, fingerprint }: Host): string[] {
  try {
    const folder = join(stateDirectory, 'journal', fingerprint)
    return readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    return []
  }
}
