import type { Config } from '../config.ts'
import { keepConnections } from '../connections.ts'
import { PgarchError } from '../errors.ts'
import { archivedAge, listenForCopies, locate } from '../schedule/agent.ts'
import type { Schedule } from '../schedule/connect.ts'
import type { ClusterReference, Location } from '../schedule/types.ts'
import { hashOnThread } from '../stores/hash-thread.ts'
import { keptSources, type Sources } from './sources.ts'

/** Node.js' timers take no more, in milliseconds: 24 days. */
const forEver = 2 ** 31 - 1

/** What a fetch that waits reaches the scheduling database and the paths by, over kept connections. */
export interface WaitingSources extends Sources {
  /** As agent.ts says it; also null when the scheduling database cannot tell. */
  archivedAge(cluster: ClusterReference, walName: string): Promise<number | null>
  /** Resolves once all are closed, which what hangs can hold up. */
  close(): Promise<void>
}

/**
 * @param heard called when files of the cluster were archived: the connection that asks for one listens
 *   from then on. When it is lost, the next question makes another.
 */
export function waitingSources(config: Config, heard: () => void): WaitingSources {
  const connections = keepConnections(config, 1, { hashing: hashOnThread(), idle: forEver })
  const sources = keptSources(connections)
  const listening = new WeakSet<Schedule>()

  async function locateAndListen(
    open: Schedule,
    cluster: ClusterReference,
    walName: string,
  ): Promise<Location> {
    const location = await locate(open, cluster, walName)
    // A standby cannot notify; and what has a copy is not waited for.
    if (listening.has(open) || location.asOfStandby) return location
    if (location.paths.some(({ hasCopy }) => hasCopy)) return location
    if (await listenForCopies(open, location.fingerprint, heard)) listening.add(open)
    // What was recorded before it listened.
    return await locate(open, cluster, walName)
  }

  return {
    locate: (cluster, walName) =>
      connections.schedule.use((open) => locateAndListen(open, cluster, walName)),
    withPath: sources.withPath,
    async archivedAge(cluster, walName) {
      try {
        return await connections.schedule.use(async (open) => {
          const { fingerprint } = await locateAndListen(open, cluster, walName)
          return await archivedAge(open, fingerprint, walName)
        })
      } catch (error) {
        if (error instanceof PgarchError) return null
        throw error
      }
    },
    close: () => connections.close(),
  }
}
