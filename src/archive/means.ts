import { batching } from '../batch.ts'
import type { Config } from '../config.ts'
import { keepConnections } from '../connections.ts'
import type { Member } from '../postgres/member.ts'
import { deliver, dropWal, fetchRoute } from '../schedule/agent.ts'
import { deliverJournal } from '../schedule/journal.ts'
import type {
  Claim,
  ClaimOutcome,
  Entry,
  LateConflict,
  Route,
  SchedulePath,
} from '../schedule/types.ts'
import type { Store } from '../stores/store.ts'

/** In one call: more than are ever in flight. */
const batchSize = 100

/**
 * What an archiver reaches the scheduling database and the paths by. Connections are kept for the next
 * file, and calls to the database that are made at the same time become one.
 */
export interface Means {
  /** The route, and the claim of one file in the same call; as agent.ts says it. */
  fetchRoute(claim: Claim): Promise<Claimed>
  /** Notes a file that is dropped on purpose; false when that must not be. */
  dropWal(claim: Claim): Promise<boolean>
  /** What waits in the journal, then this. 'waits': so much was waiting that this must wait too. */
  deliver(entry: Entry): Promise<Delivered>
  withPath<Result>(path: SchedulePath, use: (store: Store) => Promise<Result>): Promise<Result>
  /** Resolves once nobody uses a connection any more, and all are closed. */
  close(): Promise<void>
}

type Claimed = { route: Route; claim: ClaimOutcome | null }
type Delivered = { outcome: 'delivered' | 'waits'; conflicts: readonly LateConflict[] }

/** Nothing is connected to before it is needed. */
export function openMeans(stateDirectory: string, member: Member, config: Config): Means {
  const { schedule, withPath, close } = keepConnections(config, config.pushParallel)

  const claim = batching<Claim, Claimed>(
    (claims) =>
      schedule.use(async (open) => {
        const { route, outcomes } = await fetchRoute(open, member, claims)
        return claims.map((_, index) => ({ route, claim: outcomes?.[index] ?? null }))
      }),
    batchSize,
  )

  const record = batching<Entry, Delivered>(
    (entries) =>
      schedule.use(async (open) => {
        const expires = performance.now() + config.scheduleTimeout
        const { left, conflicts } = await deliverJournal(stateDirectory, open, member, expires)
        const all = [...conflicts]
        if (left === 0) all.push(...(await deliver(open, member, entries, 'at once')))
        const outcome = left === 0 ? 'delivered' : 'waits'
        return entries.map((_, index) => ({ outcome, conflicts: index === 0 ? all : [] }))
      }),
    batchSize,
  )

  return {
    fetchRoute: claim,
    dropWal: (file) => schedule.use((open) => dropWal(open, member, file)),
    deliver: record,
    withPath,
    close,
  }
}
