import { resolve } from 'node:path'
import { type Config, keepingNames } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { dataDirectoryOfTarget, openDataDirectory } from '../postgres/data-directory.ts'
import { type Member, readMember } from '../postgres/member.ts'
import { type RecoveryRole, recoveryRole } from '../postgres/recovery-role.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { openRests, type Rests } from '../schedule/rests.ts'
import type { ClusterReference } from '../schedule/types.ts'
import { ownSources, type Sources } from './sources.ts'
import type { WaitOptions } from './wait-options.ts'

export interface FetchRequest {
  readonly workingDirectory: string
  /** PostgreSQL's %f. */
  readonly walName: string
  /** PostgreSQL's %p: relative to the working directory, or absolute. */
  readonly walPath: string
  /** `--cluster`, a name or a fingerprint, or null. */
  readonly clusterName: string | null
  /** `--without`: names of paths that are not asked. */
  readonly without: readonly string[]
  /** `--include-shipped`: an unfinished segment from a shipped file is better than none. */
  readonly includeShipped: boolean
  /** No option was given, so that the launcher answers by itself from what was prefetched. */
  readonly isPlain: boolean
  /** `--wait`; undefined: an answer is wanted at once. */
  readonly waiting: WaitOptions | undefined
  /** What is to stay in the standby's own archive: PostgreSQL's %r, and `--keep`, 0 for all. */
  readonly cleanup: { readonly restart: string | undefined; readonly keep: number }
}

/** No rest is longer on a standby, in milliseconds: WAL that is back must not miss its promotion. */
export const longestRest = 15_000

/** For whom a file is fetched, and where to. */
export interface Target {
  readonly role: RecoveryRole
  readonly cluster: ClusterReference
  readonly walPath: string
  /** Where this host remembers timeline histories; undefined on a host that never registered. */
  readonly stateDirectory: string | undefined
  /** What this host registered as, with this data directory. */
  readonly member: Member | undefined
  /** What is not asked because it failed lately: on a standby, which asks again by itself. */
  readonly rests: Rests | undefined
  readonly without: readonly string[]
  readonly includeShipped: boolean
  readonly sources: Sources
}

/** This host's membership, if it is of the very cluster that is meant. */
export function membershipOf({ member, cluster }: Target): Member | undefined {
  return member?.fingerprint === cluster.fingerprint ? member : undefined
}

/** The stage *identify* of a fetch. A membership helps, and is not needed. */
export async function identifyTarget(request: FetchRequest, config: Config): Promise<Target> {
  const { workingDirectory, clusterName, without, includeShipped } = request
  const walPath = resolve(workingDirectory, request.walPath)
  const path = dataDirectoryOfTarget(request.walPath, workingDirectory)
  const role = await recoveryRole({ dataDirectory: path, walPath: request.walPath })
  const dataDirectory = await openDataDirectory(path).catch((error: unknown) => {
    if (error instanceof PgarchError && clusterName !== null) return undefined
    throw error
  })
  if (dataDirectory === undefined) {
    const cluster = { systemIdentifier: null, clusterName, fingerprint: null }
    const unregistered = { stateDirectory: undefined, member: undefined, rests: undefined }
    const sources = ownSources(config)
    return { role, cluster, walPath, without, includeShipped, sources, ...unregistered }
  }
  const { systemIdentifier } = dataDirectory
  const stateDirectory = stateDirectoryOf(config.stateDirectory, dataDirectory)
  const member = await membershipIfAny(stateDirectory, config)
  const isOurs = member?.systemIdentifier === systemIdentifier
  const isMeant = isOurs && (clusterName === null || clusterName === member.fingerprint)
  const fingerprint = isMeant ? member.fingerprint : null
  const mayRest = isOurs && role === 'standby'
  return {
    role,
    cluster: { systemIdentifier, clusterName, fingerprint },
    walPath,
    without,
    includeShipped,
    sources: ownSources(isOurs ? keepingNames(config, stateDirectory) : config),
    stateDirectory: isOurs ? stateDirectory : undefined,
    member: isOurs ? member : undefined,
    rests: mayRest ? await openRests(stateDirectory, { longest: longestRest }) : undefined,
  }
}

/** A membership that cannot be read is no reason to refuse a recovery: the identifier will do. */
async function membershipIfAny(
  stateDirectory: string,
  config: Config,
): Promise<Member | undefined> {
  try {
    return await readMember(stateDirectory, config.member)
  } catch (error) {
    if (error instanceof PgarchError) return undefined
    throw error
  }
}
