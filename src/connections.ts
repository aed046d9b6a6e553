import type { Config } from './config.ts'
import { type Kept, keep, keepSeveral } from './kept.ts'
import { withPath, withScheduling } from './resources.ts'
import type { Schedule } from './schedule/connect.ts'
import type { Hashing } from './stores/hashing.ts'
import type { PathDescription, Store } from './stores/store.ts'

/** How long a connection is kept that nobody uses, in milliseconds, unless it is said. */
const usualIdle = 10_000

/** Connections that are made when they are first wanted, and kept for whoever wants them next. */
export interface Connections {
  readonly schedule: Kept<Schedule>
  withPath<Result>(path: PathDescription, use: (store: Store) => Promise<Result>): Promise<Result>
  /** Resolves once nobody uses a connection any more, and all are closed. */
  close(): Promise<void>
}

/**
 * @param perPath as many to one path at most
 * @param options.hashing for what is got from paths
 * @param options.pathIdle `idle` of connections to paths alone
 */
export function keepConnections(
  config: Config,
  perPath: number,
  {
    hashing,
    idle = usualIdle,
    pathIdle = idle,
  }: { hashing?: Hashing; idle?: number; pathIdle?: number } = {},
): Connections {
  const schedule = keep<Schedule>((use) => withScheduling(config, use), idle, isOver)
  const stores = new Map<string, Kept<Store>>()
  return {
    schedule,
    withPath(path, use) {
      // A path that was changed is another one to connect to.
      const key = JSON.stringify(path)
      // One for each file that is on its way: what one hangs on is cut without harm to others, a
      // connection's window is not shared, and the server works on as many files at once.
      const kept =
        stores.get(key) ??
        keepSeveral<Store>(
          (one) => withPath(path, config, one, { hashing }),
          pathIdle,
          perPath,
          isOver,
        )
      stores.set(key, kept)
      return kept.use(use)
    },
    async close() {
      await Promise.all([schedule.close(), ...[...stores.values()].map((one) => one.close())])
    },
  }
}

function isOver(one: Schedule | Store): boolean {
  return one.isLost || one.hasMoved
}
