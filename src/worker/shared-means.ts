import { deliverAfterJournal, type Means } from '../archive/means.ts'
import type { Config } from '../config.ts'
import { withPath, withScheduling } from '../resources.ts'
import { fetchRoute } from '../schedule/agent.ts'
import type { Schedule } from '../schedule/connect.ts'
import type {
  Claim,
  ClaimOutcome,
  Entry,
  LateConflict,
  Membership,
  Route,
} from '../schedule/types.ts'
import type { Store } from '../stores/store.ts'
import { batching } from './batch.ts'
import { type Kept, keep, keepSeveral, type Scope } from './kept.ts'

/** How long a connection is kept that nobody uses, in milliseconds. */
const idle = 10_000

/** In one call: more than are ever in flight. */
const batchSize = 100

type Claimed = { route: Route; claim: ClaimOutcome | null }
type Delivered = { outcome: 'delivered' | 'waits'; conflicts: LateConflict[] }

export interface SharedMeans extends Means {
  close(): Promise<void>
}

/** Means that all files of a worker share: connections are kept, and calls to the database batched. */
export function sharedMeans(
  stateDirectory: string,
  member: Membership,
  config: Config,
  onStopped: () => void,
): SharedMeans {
  const schedule = keep<Schedule>((use) => withScheduling(config, use), idle)
  const stores = new Map<string, Kept<Store>>()

  const claim = batching<Claim, Claimed>(
    (claims) =>
      schedule.use(async (open) => {
        const { route, outcomes } = await fetchRoute(open, member, claims)
        return claims.map((_, index) => ({ route, claim: outcomes?.[index] ?? null }))
      }),
    batchSize,
  )
  const deliver = batching<Entry, Delivered>(
    (entries) =>
      schedule.use(async (open) => {
        const patience = config.scheduleTimeout
        const { outcome, conflicts } = await deliverAfterJournal(
          open,
          stateDirectory,
          member,
          entries,
          patience,
        )
        return entries.map((_, index) => ({ outcome, conflicts: index === 0 ? conflicts : [] }))
      }),
    batchSize,
  )

  return {
    fetchRoute: claim,
    // To drop WAL is for a push by itself, which asks in that very call.
    dropWal: async () => {
      onStopped()
      return false
    },
    deliver,
    withPath(path, use) {
      // A path that was changed is another one to connect to.
      const key = JSON.stringify(path)
      // One for each file that is sent: what one hangs on is cut without harm to others, a
      // connection's window is not shared, and the server works on as many files at once.
      const open: Scope<Store> = (one) => withPath(path, config, one)
      const kept = stores.get(key) ?? keepSeveral(open, idle, config.pushParallel)
      stores.set(key, kept)
      return kept.use(use)
    },
    async close() {
      await Promise.all([schedule.close(), ...[...stores.values()].map((one) => one.close())])
    },
  }
}
