import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Config } from '../config.ts'
import { askAddresses } from '../dns/ask.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { namesOf, withPath } from '../resources.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type ArchivePath, insertPath, updatePath, usualReserveBytes } from '../schedule/paths.ts'
import { failedFor, foundBy, notePathProbe } from '../schedule/probes.ts'
import { inTransaction } from '../schedule/transaction.ts'
import type { SshAddress } from '../ssh-address.ts'
import { readHostKey } from '../stores/host-key.ts'
import type { PathDescription, Probe, Store } from '../stores/store.ts'

/** What a person says of a path; for a local one without `ssh`. */
export interface PathRequest {
  readonly name: string
  readonly root: string
  readonly ssh: SshAddress | undefined
  /** Bytes that the path is meant to hold, for reports; null: nobody said. */
  readonly capacityBytes: number | null
  /** Bytes that a push leaves free there, 0: it does not look; undefined: nobody said. */
  readonly reserveBytes: number | undefined
  /** The root is a path of a scheduling database that was lost, and becomes that path again. */
  readonly adopt: boolean
}

/** Is shown the host key that a server presents; resolves when a person, or a given key, accepts it. */
export type AcceptHostKey = (presented: string, ssh: SshAddress) => Promise<void>

/**
 * Adds a path: pins the host key, proves that the place can hold an archive, and marks it with
 * `pgarch-path`, all before the path is saved. Rejects without leaving a row behind.
 */
export async function addPath(
  schedule: Schedule,
  request: PathRequest,
  accept: AcceptHostKey,
  config: Config,
): Promise<Probe> {
  const { name, root, ssh, capacityBytes, reserveBytes = usualReserveBytes } = request
  requireAbsolute(root)
  const sshIp = ssh === undefined ? null : await addressSeen(ssh.host, config)
  const hostKey = ssh === undefined ? null : await pinHostKey(ssh, accept, config)
  const place = describePath({ id: 0, uuid: randomUUID(), name, reserveBytes }, root, ssh, hostKey)
  await actAsOwner(place)
  const path = request.adopt ? { ...place, ...(await readClaim(place, config)) } : place
  return await inTransaction(schedule, async () => {
    const id = await insertPath(schedule, { ...path, sshIp, capacityBytes })
    if (path.id > 0 && id !== path.id) {
      log.warning(
        `path "${name}" is number ${id} now, and was another one before`,
        'Records that wait in journals name paths by their numbers: remove those from before.',
      )
    }
    const probe = await withPath({ ...path, id }, config, claimAfterProbe, { unclaimed: true })
    await notePathProbe(schedule, id, foundBy(probe))
    return probe
  })
}

/** The uuid, and if it is known the number, of the path that was here; `refused` if none was. */
async function readClaim(
  path: PathDescription,
  config: Config,
): Promise<{ uuid: string; id: number }> {
  const read = (store: Store) => store.readClaim()
  const claim = await withPath(path, config, read, { unclaimed: true })
  if (claim !== undefined) return { uuid: claim.uuid, id: claim.id ?? path.id }
  throw new PgarchError('refused', `"${path.rootPath}" has no pgarch-path that could be adopted`, {
    hint: 'Without --adopt it becomes a new path.',
  })
}

/** What of a path is to change; undefined leaves it as it is. */
export interface PathChange {
  readonly name: string | undefined
  readonly root: string | undefined
  readonly ssh: SshAddress | undefined
  readonly capacityBytes: number | undefined
  readonly reserveBytes: number | undefined
  /** The server has a new host key, which is to be pinned. */
  readonly newHostKey: boolean
}

/** Changes a path; one that is reached otherwise must be found fit, and to be the same path, there. */
export async function changePath(
  schedule: Schedule,
  path: ArchivePath,
  change: PathChange,
  accept: AcceptHostKey,
  config: Config,
): Promise<void> {
  const root = change.root ?? path.rootPath
  requireAbsolute(root)
  const ssh = change.ssh ?? sshAddressOf(path)
  if ((ssh === undefined) !== (path.kind === 'local')) {
    throw new PgarchError('refused', `path "${path.name}" cannot become another kind of path`)
  }
  const pinAnew = ssh !== undefined && (change.newHostKey || change.ssh !== undefined)
  const hostKey = pinAnew ? await pinHostKey(ssh, accept, config) : path.hostKey
  const changed = describePath(path, root, ssh, hostKey)
  const probe = pinAnew || root !== path.rootPath ? await testPath(changed, config) : undefined
  const { capacityBytes = path.capacityBytes, name = path.name } = change
  const { reserveBytes = path.reserveBytes } = change
  const sshIp = change.ssh === undefined ? path.sshIp : await addressSeen(change.ssh.host, config)
  await updatePath(schedule, path.id, { ...changed, name, sshIp, capacityBytes, reserveBytes })
  if (probe !== undefined) await notePathProbe(schedule, path.id, foundBy(probe))
}

/** Proves again what adding the path proved. */
export async function testPath(path: PathDescription, config: Config): Promise<Probe> {
  await actAsOwner(path)
  return await withPath(path, config, (store) => store.probe())
}

/**
 * As testPath, and keeps what was found, also when it rejects, for whoever monitors the path; but not what
 * stood in the way here, and not there.
 */
export async function testKnownPath(
  schedule: Schedule,
  path: ArchivePath,
  config: Config,
): Promise<Probe> {
  try {
    const probe = await testPath(path, config)
    await notePathProbe(schedule, path.id, foundBy(probe))
    return probe
  } catch (error) {
    if (error instanceof PgarchError && !error.isOwn) {
      await notePathProbe(schedule, path.id, failedFor(error.message))
    }
    throw error
  }
}

const claimAfterProbe: Parameters<typeof withPath<Probe>>[2] = async (store) => {
  const probe = await store.probe()
  await store.claim()
  return probe
}

async function pinHostKey(ssh: SshAddress, accept: AcceptHostKey, config: Config): Promise<string> {
  const { sshConnectTimeout: connectTimeout } = config
  const presented = await readHostKey({ ...ssh, connectTimeout, names: namesOf(config) })
  await accept(presented, ssh)
  return presented
}

/** What the scheduling database notes beside a name; `unreachable` when the name has no address. */
async function addressSeen(host: string, config: Config): Promise<string | null> {
  if (isIP(host) !== 0) return host
  const { addresses } = await askAddresses(host, namesOf(config))
  return addresses[0] ?? null
}

function describePath(
  { id, uuid, name, reserveBytes }: Pick<PathDescription, 'id' | 'uuid' | 'name' | 'reserveBytes'>,
  rootPath: string,
  ssh: SshAddress | undefined,
  hostKey: string | null,
): PathDescription {
  return {
    id,
    uuid,
    name,
    kind: ssh === undefined ? 'local' : 'sftp',
    sshHost: ssh?.host ?? null,
    sshPort: ssh?.port ?? null,
    sshUser: ssh?.user ?? null,
    hostKey,
    rootPath,
    reserveBytes,
  }
}

function sshAddressOf({ sshHost, sshPort, sshUser }: PathDescription): SshAddress | undefined {
  if (sshHost === null || sshPort === null || sshUser === null) return undefined
  return { user: sshUser, host: sshHost, port: sshPort }
}

function requireAbsolute(root: string): void {
  if (root.startsWith('/')) return
  throw new PgarchError('usage', `"${root}" is not an absolute path`)
}

/** Root may do everything in a local directory, which proves nothing about the server's user. */
export async function actAsOwner({ kind, rootPath }: PathDescription): Promise<void> {
  if (kind !== 'local' || process.getuid?.() !== 0) return
  const owner = await stat(rootPath).catch(() => undefined)
  if (owner !== undefined && owner.uid !== 0) dropToOwner(owner)
}
