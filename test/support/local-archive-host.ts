import { existsSync, readFileSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openStore } from '../../src/stores/open.ts'
import type { PathDescription } from '../../src/stores/store.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { options } from '../stores/bed.ts'
import { randomSample } from '../stores/samples.ts'
import { archiveSegment, type Fleet, storedFile } from './fleet.ts'
import { makeFolder, ownByUnprivileged } from './folder.ts'

/** A cluster with one path and a local archive, each in a folder of its own. */
export async function startHost(
  fleet: Fleet,
  name: string,
  local: string = makeFolder(fleet.folder, `${name}-local`),
) {
  const pathRoot = await fleet.addPath(name)
  const own = { PGARCH_LOCAL_ARCHIVE: local, PGARCH_LOCAL_RESERVE: '1MB' }
  const primary = await fleet.startPrimary(name, [name], { environment: own })
  const first = await archiveSegment(primary)
  const [cluster] = await fleet.rows<{ id: string; member: string }>(
    `select d.id, m.id as member from pgarch.arch_db_info d
     join pgarch.arch_member m on m.db_id = d.id where d.name = $1`,
    [name],
  )
  const { id: fingerprint, member } = cluster ?? { id: '', member: '' }
  const state = join(fleet.environment.PGARCH_STATE_DIR ?? '', primary.dataDirectory, '@pgarch')
  const host = {
    ...{ name, primary, first, pathRoot, local, fingerprint, state, environment: own },
    localRoot: join(local, member),
    /** pgarch on this host, as the server would run it. */
    pgarch: (...words: string[]) =>
      fleet.pgarch(words, { cwd: primary.dataDirectory, environment: own }),
    onPath: (walName: string) => storedFile(pathRoot, fingerprint, walName),
    inLocal: (walName: string) => storedFile(host.localRoot, fingerprint, walName),
    segment: (walName: string) => readFileSync(join(primary.dataDirectory, 'pg_wal', walName)),
    unplug: () => rename(pathRoot, `${pathRoot}.away`),
    plugIn: () => rename(`${pathRoot}.away`, pathRoot),
    /** The rests of what failed end, as if some minutes had gone by. */
    wake: () => rm(join(state, 'rests.json'), { force: true }),
    async listed() {
      const { stdout } = await host.pgarch('local', 'list', '--json')
      return (JSON.parse(stdout) as { walName: string }[]).map(({ walName }) => walName)
    },
    /** Fetches as PostgreSQL would. */
    async fetch(walName: string) {
      const placed = join(primary.dataDirectory, 'pg_wal/RECOVERYXLOG')
      const { status, stderr } = await host.pgarch('fetch', walName, 'pg_wal/RECOVERYXLOG')
      const content = existsSync(placed) ? readFileSync(placed) : undefined
      await rm(placed, { force: true })
      return { status, stderr, content }
    },
    /** Where the scheduling database says that a file is. */
    copies: (walName: string) =>
      fleet.rows<{ path: string | null; member: string | null }>(
        `select p.name as path, c.member_id as member
         from pgarch.arch_copy c left join pgarch.arch_path_info p on p.id = c.path_id
         where c.db_id = $1 and c.wal_name = $2 order by p.name`,
        [fingerprint, walName],
      ),
    logged: (walName: string) =>
      fleet.rows<{ status: boolean }>(
        `select status from pgarch.arch_local_log where db_id = $1 and wal_name = $2
         order by create_time, status desc`,
        [fingerprint, walName],
      ),
  }
  return host
}

export type Host = Awaited<ReturnType<typeof startHost>>

/** Puts other content under a file's name on the host's path, as another server would. */
export async function occupy(fleet: Fleet, host: Host, walName: string): Promise<void> {
  const [row] = await fleet.rows<{ uuid: string }>(
    'select uuid from pgarch.arch_path_info where name = $1',
    [host.name],
  )
  const path: PathDescription = {
    ...{ id: 1, uuid: row?.uuid ?? '', name: host.name, rootPath: host.pathRoot, reserveBytes: 0 },
    ...{ kind: 'local', sshHost: null, sshPort: null, sshUser: null, hostKey: null },
  }
  const { content, digest } = randomSample(1000, walName)
  const store = await openStore(path, options)
  await store.put(storedName(host.fingerprint, walName), content, digest)
  await store.close()
  ownByUnprivileged(host.onPath(walName))
}
