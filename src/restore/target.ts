import { resolve } from 'node:path'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { dataDirectoryOfTarget, openDataDirectory } from '../postgres/data-directory.ts'
import { type Member, readMember } from '../postgres/member.ts'
import { type RecoveryRole, recoveryRole } from '../postgres/recovery-role.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import type { ClusterReference } from '../schedule/types.ts'

export interface FetchRequest {
  readonly workingDirectory: string
  /** PostgreSQL's %f. */
  readonly walName: string
  /** PostgreSQL's %p: relative to the working directory, or absolute. */
  readonly walPath: string
  /** `--cluster`, or null. */
  readonly clusterName: string | null
}

/** For whom a file is fetched, and where to. */
export interface Target {
  readonly role: RecoveryRole
  readonly cluster: ClusterReference
  readonly walPath: string
  /** Where this host remembers timeline histories; undefined on a host that never registered. */
  readonly stateDirectory: string | undefined
  /** What this host registered as, with this data directory. */
  readonly member: Member | undefined
}

/** The stage *identify* of a fetch. A membership helps, and is not needed. */
export async function identifyTarget(request: FetchRequest, config: Config): Promise<Target> {
  const { workingDirectory, clusterName } = request
  const walPath = resolve(workingDirectory, request.walPath)
  const path = dataDirectoryOfTarget(request.walPath, workingDirectory)
  const role = await recoveryRole({ dataDirectory: path, walPath: request.walPath })
  const dataDirectory = await openDataDirectory(path).catch((error: unknown) => {
    if (error instanceof PgarchError && clusterName !== null) return undefined
    throw error
  })
  if (dataDirectory === undefined) {
    const cluster = { systemIdentifier: null, clusterName, fingerprint: null }
    return { role, cluster, walPath, stateDirectory: undefined, member: undefined }
  }
  const { systemIdentifier } = dataDirectory
  const stateDirectory = stateDirectoryOf(config.stateDirectory, dataDirectory)
  const member = await membershipIfAny(stateDirectory, config)
  const isOurs = member?.systemIdentifier === systemIdentifier
  const fingerprint = isOurs && clusterName === null ? member.fingerprint : null
  return {
    role,
    cluster: { systemIdentifier, clusterName, fingerprint },
    walPath,
    stateDirectory: isOurs ? stateDirectory : undefined,
    member: isOurs ? member : undefined,
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
