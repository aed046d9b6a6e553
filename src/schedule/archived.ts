import { only } from './agent.ts'
import type { Schedule } from './connect.ts'
import type { ClusterReference } from './types.ts'

/** What is archived of a cluster, seen from what a standby has replayed. */
export interface ArchivedAfter {
  readonly clusterName: string
  /** The last segment of the newest timeline, and when it was claimed; null: none is archived. */
  readonly last: { readonly walName: string; readonly time: Date } | null
  /** Segments after the given one that are archived; null without one. */
  readonly archived: number | null
  /** Segments between the given one and the last that nobody archived, or that are gone. */
  readonly missing: number | null
  /** The first of them. */
  readonly firstMissing: string | null
}

/**
 * Needs no membership. Rejects with `refused` when no cluster fits, or when several do.
 *
 * @param walName the segment that is being replayed; null: nobody knows
 */
export async function queryArchivedAfter(
  schedule: Schedule,
  { systemIdentifier, clusterName, fingerprint }: ClusterReference,
  walName: string | null,
): Promise<ArchivedAfter> {
  const [row] = await schedule.query<{ answer: ArchivedAfter }>(
    'select pgarch.archived_after($1, $2, $3, $4) as answer',
    [systemIdentifier, clusterName, fingerprint, walName],
  )
  const { last, ...rest } = only(row).answer
  // Times inside json come as text.
  return { ...rest, last: last && { ...last, time: new Date(last.time) } }
}
