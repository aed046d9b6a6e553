import type { Config } from '../config.ts'
import { withPath, withScheduling } from '../resources.ts'
import { deliver, dropWal, fetchRoute } from '../schedule/agent.ts'
import type { Schedule } from '../schedule/connect.ts'
import { deliverJournal } from '../schedule/journal.ts'
import type {
  Claim,
  ClaimOutcome,
  Entry,
  LateConflict,
  Membership,
  Route,
  SchedulePath,
} from '../schedule/types.ts'
import type { Store } from '../stores/store.ts'

/**
 * How files are archived: each push has connections of its own, and closes them; the worker shares its
 * connections, and its calls, among all files in flight.
 */
export interface Means {
  /** The route, and the claim of one file in the same call; as agent.ts says it. */
  fetchRoute(claim: Claim): Promise<{ route: Route; claim: ClaimOutcome | null }>
  /** Notes a file that is dropped on purpose; false when that must not be. */
  dropWal(claim: Claim): Promise<boolean>
  /** What waits in the journal, then this. 'waits': so much was waiting that this must wait too. */
  deliver(entry: Entry): Promise<{ outcome: 'delivered' | 'waits'; conflicts: LateConflict[] }>
  withPath<Result>(path: SchedulePath, use: (store: Store) => Promise<Result>): Promise<Result>
}

export function ownMeans(stateDirectory: string, member: Membership, config: Config): Means {
  return {
    fetchRoute: async (claim) => {
      const { route, outcomes } = await withScheduling(config, (schedule) =>
        fetchRoute(schedule, member, [claim]),
      )
      return { route, claim: outcomes?.[0] ?? null }
    },
    dropWal: (claim) => withScheduling(config, (schedule) => dropWal(schedule, member, claim)),
    deliver: (entry) =>
      withScheduling(config, (schedule) =>
        deliverAfterJournal(schedule, stateDirectory, member, [entry], config.scheduleTimeout),
      ),
    withPath: (path, use) => withPath(path, config, use),
  }
}

/** In the order in which things happened; for `patience` milliseconds at the most. */
export async function deliverAfterJournal(
  schedule: Schedule,
  stateDirectory: string,
  member: Membership,
  entries: readonly Entry[],
  patience: number,
): Promise<{ outcome: 'delivered' | 'waits'; conflicts: LateConflict[] }> {
  const expires = Date.now() + patience
  const { left, conflicts } = await deliverJournal(stateDirectory, schedule, member, expires)
  if (left > 0) return { outcome: 'waits', conflicts }
  conflicts.push(...(await deliver(schedule, member, entries)))
  return { outcome: 'delivered', conflicts }
}
