import { PgarchError } from '../errors.ts'
import { type DataDirectory, openDataDirectory } from './data-directory.ts'
import { type Member, readMember } from './member.ts'
import { stateDirectoryOf } from './state-directory.ts'

/** A data directory, and the membership that allows this host to archive for it. */
export interface Registered {
  readonly dataDirectory: DataDirectory
  readonly member: Member
}

/**
 * Rejects with `refused` without a membership, or with another cluster's.
 *
 * @param base PGARCH_STATE_DIR
 * @param fromEnvironment PGARCH_MEMBER
 */
export async function openRegistered(
  path: string,
  base: string,
  fromEnvironment: string | undefined,
): Promise<Registered> {
  const dataDirectory = await openDataDirectory(path)
  const member = await readMember(stateDirectoryOf(base, dataDirectory), fromEnvironment)
  if (member === undefined) {
    throw new PgarchError('refused', `data directory "${dataDirectory.path}" is not registered`, {
      hint:
        'If it is another host of a registered cluster, run "pgarch register --member". ' +
        'If it is a copy that lives on as a cluster of its own, run "pgarch register --new". ' +
        'Otherwise run "pgarch register --name NAME".',
    })
  }
  if (member.systemIdentifier !== dataDirectory.systemIdentifier) {
    throw new PgarchError(
      'refused',
      `data directory "${dataDirectory.path}" has system identifier ` +
        `${dataDirectory.systemIdentifier}, but was registered with ${member.systemIdentifier}`,
      { hint: 'After pg_upgrade or a new initdb, run "pgarch register" again.' },
    )
  }
  return { dataDirectory, member }
}
