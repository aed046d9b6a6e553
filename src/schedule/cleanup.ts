import type { Schedule } from './connect.ts'
import type { Membership, SchedulePath } from './types.ts'

/** What a member may clean up on one path, and what is recorded there. */
export interface CleanupScope {
  readonly path: SchedulePath
  /** Another cluster uses the path, too, or has files there. */
  readonly isShared: boolean
  /** Segments, partial ones too, before the limit, of the member's cluster. */
  readonly recorded: readonly string[]
}

/**
 * The path of this name among those that the member's cluster uses; undefined: it uses none such.
 *
 * @param keptFrom name of the first segment that stays
 */
export async function findCleanupScope(
  schedule: Schedule,
  { memberId, credential }: Membership,
  pathName: string,
  keptFrom: string,
): Promise<CleanupScope | undefined> {
  const [row] = await schedule.query<{ answer: CleanupScope | null }>(
    'select pgarch.cleanup_scope($1, $2, $3, $4) as answer',
    [memberId, credential, pathName, keptFrom],
  )
  return row?.answer ?? undefined
}

/**
 * Notes that these segments are about to be removed from a path, which no longer counts for having them.
 * Repeating it changes nothing.
 */
export async function noteCleanup(
  schedule: Schedule,
  { memberId, credential }: Membership,
  cleanup: {
    readonly pathId: number
    readonly keptFrom: string
    readonly walNames: readonly string[]
  },
): Promise<void> {
  const { pathId, keptFrom, walNames } = cleanup
  await schedule.query('select pgarch.clean_up($1, $2, $3, $4, $5)', [
    memberId,
    credential,
    pathId,
    keptFrom,
    JSON.stringify(walNames),
  ])
}
