import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { type DataDirectory, openDataDirectory } from '../postgres/data-directory.ts'
import { type Member, readMember } from '../postgres/member.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'

/**
 * The stage *identify* of a push: who this data directory belongs to, and the membership that allows
 * this host to archive for it. Rejects with `refused` without one, or with another cluster's.
 */
export async function identifyMember(
  path: string,
  config: Config,
): Promise<{ dataDirectory: DataDirectory; member: Member }> {
  const dataDirectory = await openDataDirectory(path)
  const member = await readMember(
    stateDirectoryOf(config.stateDirectory, dataDirectory),
    config.member,
  )
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
