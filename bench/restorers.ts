import { join } from 'node:path'
import type { Groups } from './measure.ts'
import type { PgBackRest } from './other-archivers.ts'
import { endProcess, type Pgarch, workerOf } from './pgarch.ts'
import { type Restorer, restoredDirectory } from './restored.ts'

/** From a local directory, uncompressed. */
export function copy(archive: string): Restorer {
  return {
    name: 'cp',
    command: `cp ${archive}/%f %p`,
    environment: {},
    groups: {},
    prepare: async () => {},
    finish: async () => {},
  }
}

/** @param on its environment, beside its defaults, its processes, and what precedes a recovery */
export function pgarchRestorer(
  pgarch: Pgarch,
  folder: string,
  name: string,
  on: {
    readonly environment?: Readonly<Record<string, string>>
    readonly groups?: Groups
    readonly prepare?: () => Promise<void>
  } = {},
): Restorer {
  const { environment, groups, prepare = async () => {} } = on
  const all = { ...pgarch.environment, ...environment }
  const pidFile = join(
    all.PGARCH_STATE_DIR ?? '',
    restoredDirectory(folder),
    '@pgarch',
    'prefetch.pid',
  )
  const worker = () => workerOf(pidFile)
  return {
    name,
    command: `${pgarch.launcher} fetch %f %p`,
    environment: all,
    groups: { worker, 'scheduling database': () => pgarch.schedule.pid, ...groups },
    prepare,
    finish: () => endProcess(worker()),
  }
}

/** Prefetching into its queue of 128 MB, its default, by four processes. */
export function pgbackrestRestorer(peer: PgBackRest, folder: string): Restorer {
  return {
    name: peer.name,
    command: peer.restoreCommand(restoredDirectory(folder)),
    environment: {},
    groups: peer.groups,
    prepare: peer.clearSpool,
    finish: peer.clearSpool,
  }
}
