import { type Config, keepingNames } from '../config.ts'
import { describeError } from '../errors.ts'
import { removeUnfinished } from '../fs/durable.ts'
import { log } from '../log.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import type { Member } from '../postgres/member.ts'
import { openRegistered } from '../postgres/registered.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { openRests, type Rests } from '../schedule/rests.ts'
import { ownHashing } from '../stores/hashing.ts'
import { type Means, openMeans } from './means.ts'
import type { Reading } from './read-once.ts'

/** Who archives, and with what: the same for every file of a data directory. */
export interface Archiver {
  readonly dataDirectory: DataDirectory
  readonly member: Member
  readonly stateDirectory: string
  readonly rests: Rests
  readonly means: Means
  readonly reading: Reading
  readonly config: Config
}

/**
 * The stage *identify* of a push, and then `use`: who this data directory belongs to, and the membership
 * that allows this host to archive for it. Rejects with `refused` without one, or with another
 * cluster's. Afterwards what was connected to is closed, and what failed is remembered.
 */
export async function withArchiver<Result>(
  path: string,
  config: Config,
  use: (archiver: Archiver) => Promise<Result>,
): Promise<Result> {
  const archiver = await identify(path, config)
  try {
    return await use(archiver)
  } finally {
    await archiver.means.close()
    await rememberFailures(archiver)
  }
}

/** For the next calls. Never rejects: not to know only costs them time. */
export async function rememberFailures({ rests }: Archiver): Promise<void> {
  await rests.save().catch((error: unknown) => {
    log.warning(`could not remember what failed: ${describeError(error)}`)
  })
}

async function identify(path: string, given: Config): Promise<Archiver> {
  const { dataDirectory, member } = await openRegistered(path, given.stateDirectory, given.member)
  // A membership from PGARCH_MEMBER may come to a host that has no state directory yet.
  const stateDirectory = await createStateDirectory(given.stateDirectory, dataDirectory)
  const config = keepingNames(given, stateDirectory)
  await removeUnfinished(stateDirectory)
  const rests = await openRests(stateDirectory)
  const means = openMeans(stateDirectory, member, config)
  const reading = { hashing: ownHashing, level: config.compressionLevel, unused: [] }
  return { dataDirectory, member, stateDirectory, rests, means, reading, config }
}
