import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { Cluster } from '../schedule/clusters.ts'
import { findClaim, listLocalHosts, listOpenConflicts } from '../schedule/conflicts.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type ArchivePath, listPathsOf } from '../schedule/paths.ts'
import {
  type AsideCopy,
  beginSetAside,
  findUnfinishedSetAside,
  finishSetAside,
} from '../schedule/set-aside.ts'
import { inTransaction } from '../schedule/transaction.ts'
import { storedName } from '../stores/stored-file.ts'
import { parseWalName } from '../wal/names.ts'
import type { Choice, ConflictFacts, Find } from './conflict-contents.ts'

/** One name in conflict, as far as the scheduling database and the paths tell. */
export interface ConflictPicture extends ConflictFacts {
  readonly cluster: Cluster
  readonly walName: string
  /** All that could hold the file. */
  readonly paths: readonly ArchivePath[]
  /** Paths that could not be looked at, and why: what they hold is not among the finds. */
  readonly doubts: readonly { readonly pathName: string; readonly error: PgarchError }[]
  /** Hosts whose local archive holds the file, in either content. */
  readonly localHosts: readonly string[]
}

/** Looks at everything, and changes nothing. */
export async function examineConflict(
  schedule: Schedule,
  cluster: Cluster,
  walName: string,
  config: Config,
): Promise<ConflictPicture> {
  const { fingerprint } = cluster
  if (parseWalName(walName) === undefined) {
    throw new PgarchError('refused', `"${walName}" is not the name of a WAL file`)
  }
  const name = storedName(fingerprint, walName)
  const open = await listOpenConflicts(schedule, fingerprint)
  const paths = await listPathsOf(schedule, fingerprint, walName)
  const looks = await Promise.all(paths.map((path) => lookAt(path, name, config)))
  return {
    cluster,
    walName,
    paths,
    claim: await findClaim(schedule, fingerprint, walName),
    conflicts: open.filter((one) => one.walName === walName),
    unfinished: await findUnfinishedSetAside(schedule, fingerprint, walName),
    finds: looks.filter((look) => 'stored' in look),
    doubts: looks.filter((look) => 'error' in look),
    localHosts: await listLocalHosts(schedule, fingerprint, walName),
  }
}

async function lookAt(
  path: ArchivePath,
  name: string,
  config: Config,
): Promise<Find | ConflictPicture['doubts'][number]> {
  try {
    const found = await withPath(path, config, (store) => store.inspect(name))
    return { pathId: path.id, pathName: path.name, stored: found === 'absent' ? null : found }
  } catch (error) {
    if (error instanceof PgarchError) return { pathName: path.name, error }
    throw error
  }
}

/** Rejects with the first reason why a path could hold content that nobody saw. */
export function requireAllSeen({ doubts }: ConflictPicture): void {
  const [doubt] = doubts
  if (doubt === undefined) return
  throw new PgarchError('refused', `${doubt.error.message}; nothing was set aside`, {
    hint:
      'Every path that could hold the file must be looked at, disabled ones too. Mend it; if it is ' +
      'gone for good, see "pgarch path lost --help".',
    cause: doubt.error,
  })
}

/**
 * Settles a conflict: what gives way is renamed on every path that has it, never deleted, and then, in
 * one transaction, forgotten, noted, and its conflicts resolved. Killed at any point, it goes on when
 * the command is repeated. Resolves to where the content lies now.
 */
export async function setContentAside(
  schedule: Schedule,
  picture: ConflictPicture,
  { givesWay, successor }: Choice,
  decision: { readonly author: string; readonly reason: string },
  config: Config,
): Promise<readonly AsideCopy[]> {
  const { cluster, walName, paths, unfinished } = picture
  const { fingerprint } = cluster
  const { sha256, walSize, memberId } = givesWay
  const heir = successor && (await describeSuccessor(picture, successor, config))
  const id =
    unfinished?.id ??
    (await beginSetAside(schedule, {
      fingerprint,
      walName,
      sha256,
      walSize,
      memberId,
      ...decision,
    }))
  const name = storedName(fingerprint, walName)
  const renamed: (AsideCopy & { pathId: number })[] = []
  for (const path of paths) {
    const found = picture.finds.find(({ pathId }) => pathId === path.id)?.stored
    if (found && found.sha256 !== sha256) continue
    const file = await withPath(path, config, (store) => store.setAside(name, sha256))
    if (file !== 'absent') renamed.push({ path: path.name, file, pathId: path.id })
  }
  const copies = renamed.map(({ path, file }) => ({ path, file }))
  await inTransaction(schedule, () =>
    finishSetAside(schedule, id, {
      copies,
      pathIds: renamed.map(({ pathId }) => pathId),
      successor: heir,
    }),
  )
  return copies
}

async function describeSuccessor(
  { cluster, walName, finds, paths }: ConflictPicture,
  { sha256, memberId }: NonNullable<Choice['successor']>,
  config: Config,
) {
  const holding = finds.filter(({ stored }) => stored?.sha256 === sha256)
  const path = paths.find(({ id }) => id === holding[0]?.pathId)
  if (path === undefined) throw new Error('what stays lies on no path')
  const copy = join(tmpdir(), `pgarch-${crypto.randomUUID()}`)
  try {
    const name = storedName(cluster.fingerprint, walName)
    // Its bytes, and not its trailer alone, are what is claimed.
    const digest = await withPath(path, config, (store) => store.get(name, copy))
    if (digest === 'absent' || digest.sha256 !== sha256) {
      throw new PgarchError('unusable', `path "${path.name}": "${name}" changed meanwhile`)
    }
    const history = walName.endsWith('.history') ? await readFile(copy) : null
    const pathIds = holding.map(({ pathId }) => pathId)
    return { sha256, walSize: digest.size, history, memberId, pathIds }
  } finally {
    await rm(copy, { force: true })
  }
}
