import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { type DataDirectory, openDataDirectory } from '../postgres/data-directory.ts'
import { type Member, readMember } from '../postgres/member.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'

/** A standby's data directory, and what this host registered as with it. */
export interface StandbyHost {
  readonly dataDirectory: DataDirectory
  readonly stateDirectory: string
  /** Undefined where it never did, or did with another cluster, or that cannot be read: there is a warning. */
  readonly member: Member | undefined
}

/** Goes on as the data directory's owner when run as root. `usage` when it is no data directory. */
export async function openStandbyHost(pgdata: string, config: Config): Promise<StandbyHost> {
  const dataDirectory = await openDataDirectory(pgdata)
  dropToOwner(dataDirectory)
  const stateDirectory = stateDirectoryOf(config.stateDirectory, dataDirectory)
  const member = await readMember(stateDirectory, config.member).catch((error: unknown) => {
    if (!(error instanceof PgarchError)) throw error
    log.warning(error.message, 'It counts as none.')
    return undefined
  })
  const isOurs = member?.systemIdentifier === dataDirectory.systemIdentifier
  return { dataDirectory, stateDirectory, member: isOurs ? member : undefined }
}

/** This host's membership; `refused` without one. */
export function requireMembership({ dataDirectory, member }: StandbyHost): Member {
  if (member !== undefined) return member
  throw new PgarchError('refused', `data directory "${dataDirectory.path}" is not registered`, {
    hint: 'Run "pgarch register --member" on this host; a standby, too, may be registered.',
  })
}
