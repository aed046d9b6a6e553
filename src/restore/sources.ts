import type { Config } from '../config.ts'
import type { Connections } from '../connections.ts'
import { withPath, withScheduling } from '../resources.ts'
import { locate } from '../schedule/agent.ts'
import type { ClusterReference, Location } from '../schedule/types.ts'
import type { PathDescription, Store } from '../stores/store.ts'

/**
 * What a restore reaches the scheduling database and the paths by: a fetch connects for each question,
 * the worker keeps its connections.
 */
export interface Sources {
  /** As agent.ts says it. */
  locate(cluster: ClusterReference, walName: string): Promise<Location>
  /** `limits`: how long to wait; those of a connection that is kept are its own. */
  withPath<Result>(
    path: PathDescription,
    limits: Config,
    use: (store: Store) => Promise<Result>,
  ): Promise<Result>
}

export function ownSources(config: Config): Sources {
  return {
    locate: (cluster, walName) =>
      withScheduling(config, (schedule) => locate(schedule, cluster, walName)),
    withPath,
  }
}

export function keptSources({ schedule, withPath }: Connections): Sources {
  return {
    locate: (cluster, walName) => schedule.use((open) => locate(open, cluster, walName)),
    withPath: (path, _limits, use) => withPath(path, use),
  }
}
