import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { withSchedule } from '../../src/schedule/connect.ts'
import { listPaths } from '../../src/schedule/paths.ts'
import { setRoute } from '../../src/schedule/routes.ts'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { changeSystemIdentifier } from '../support/pg-control.ts'
import { folderForServers, type Server, startFrom, startServer } from '../support/postgres.ts'
import { kill } from '../support/processes.ts'
import { takeBackup } from '../support/restored.ts'
import { fingerprintOf } from '../support/rows.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { stateOf, workerOf } from '../support/worker.ts'
import { extent, inParallel, patient } from './extent.ts'

export interface ArchivePath {
  readonly name: string
  readonly root: string
  readonly sshd: Sshd
}

export interface Cluster {
  readonly name: string
  readonly server: Server
  readonly fingerprint: string
  /** Where its local archive is, if it has one. */
  readonly localArchive: string | undefined
  /** A base backup from before everything, if it is restored in the end. */
  readonly backup: string | undefined
  /** A fault keeps it from answering. */
  isDown: boolean
}

export interface Scene {
  readonly fleet: Fleet
  readonly paths: readonly ArchivePath[]
  readonly clusters: readonly Cluster[]
}

/** What many servers on one machine can do without. */
const small = {
  shared_buffers: '128kB',
  max_connections: 10,
  max_wal_senders: 2,
  max_logical_replication_workers: 0,
  autovacuum: false,
}

/** All that it ever finished stays in pg_wal as it was: with this the archive is compared. */
const keepsWal = { wal_keep_size: '16GB', wal_recycle: false }

/** Three paths, each at an address of its own, and clusters that prefer one or another. */
export async function setScene(count: number): Promise<Scene> {
  const fleet = await startFleet({
    schedule: await startServer({ settings: { max_connections: 300 } }),
    environment: patient,
  })
  const paths: ArchivePath[] = []
  for (const [index, name] of ['berlin', 'hamburg', 'munich'].entries()) {
    const sshd = await startSshd({ folder: fleet.folder, address: `127.0.0.${index + 2}` })
    paths.push({ name, sshd, root: await fleet.addPath(name, { sshd }) })
  }
  const template = await startServer({ walSegmentSizeMegabytes: 1 })
  await template.query('create table numbers (n int); create table noise (bytes bytea)')
  await template.stop()
  const clusters: Cluster[] = []
  await inParallel(Array(count).keys(), 3, async (index) => {
    clusters.push(await startCluster(fleet, template, index))
  })
  return { fleet, paths, clusters }
}

/** One in two has a local archive. */
async function startCluster(fleet: Fleet, template: Server, index: number): Promise<Cluster> {
  const name = `cluster-${index}`
  const folder = folderForServers('cluster')
  const { version } = template
  const dataDirectory = join(folder, 'data')
  execFileSync('cp', ['-a', template.dataDirectory, dataDirectory])
  changeSystemIdentifier({ version, dataDirectory }, BigInt(index + 1))
  const localArchive = index % 2 === 0 ? makeFolder(folder, 'local') : undefined
  const local = { PGARCH_LOCAL_ARCHIVE: localArchive ?? '', PGARCH_LOCAL_RESERVE: '1MB' }
  const server = await startFrom(dataDirectory, {
    version,
    folder,
    environment: {
      ...fleet.environment,
      ...extent.deadlines,
      ...(localArchive !== undefined && local),
      PGARCH_PUSH_WORKER: 'on',
      PGARCH_PUSH_PARALLEL: '2',
    },
    settings: { ...fleet.archiveSettings, ...small, ...keepsWal },
  })
  await fleet.admin('register', '--name', name, '--pgdata', dataDirectory, '--pguser', 'postgres')
  const fingerprint = await fingerprintOf(fleet, name)
  await setPriorities(fleet, fingerprint, index)
  const isRestored = index < extent.restored
  const backup = isRestored ? await takeBackup(fleet, server, `backup-${index}`) : undefined
  return { name, server, fingerprint, localArchive, backup, isDown: false }
}

async function setPriorities(fleet: Fleet, fingerprint: string, index: number): Promise<void> {
  const url = fleet.schedule.url('pgarch')
  const settings = { url, timeoutMilliseconds: 20_000, purpose: 'admin' } as const
  await withSchedule(settings, async (schedule) => {
    const paths = await listPaths(schedule)
    for (const [number, { id }] of paths.entries()) {
      await setRoute(schedule, fingerprint, id, 100 - ((number + index) % paths.length))
    }
  })
}

/** Stops all servers, and what works for them. */
export async function endScene({ fleet, paths, clusters }: Scene): Promise<void> {
  await Promise.all(clusters.map(({ server }) => server.stop('immediate')))
  for (const { server } of clusters) kill(workerOf(fleet, server))
  for (const { sshd } of paths) await sshd.stop()
}

/** Records that wait on the cluster's host. */
export function journalOf({ fleet }: Scene, { server }: Cluster): string[] {
  return filesBelow(stateOf(fleet, server, 'journal')).filter((name) => name.endsWith('.json'))
}

/** Files that lie in its local archive. */
export function localFilesOf({ localArchive }: Cluster): string[] {
  if (localArchive === undefined) return []
  return filesBelow(localArchive).filter((name) => name.endsWith('.zst'))
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
  } catch (error) {
    // None yet; or one of its directories went away meanwhile, and it is looked at again.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
