import type { Config } from './config.ts'
import { PgarchError } from './errors.ts'
import { type Schedule, type ScheduleSettings, withSchedule } from './schedule/connect.ts'
import { type OpenOptions, withStore } from './stores/open.ts'
import type { PathDescription, Store, StoreOptions } from './stores/store.ts'

/** Opens the scheduling database under the configuration, for `use`; `usage` without a URL. */
export async function withScheduling<Result>(
  config: Config,
  use: (schedule: Schedule) => Promise<Result>,
  purpose: ScheduleSettings['purpose'] = 'agent',
): Promise<Result> {
  if (config.scheduleUrl === undefined) {
    throw new PgarchError('usage', "the scheduling database's URL is not set", {
      hint: 'Set schedule.url in /etc/pgarch/pgarch.toml, PGARCH_SCHEDULE_URL, or --schedule.',
    })
  }
  const { scheduleUrl: url, scheduleTimeout: timeoutMilliseconds } = config
  return await withSchedule({ url, timeoutMilliseconds, purpose }, use)
}

/** Opens an archive path under the configuration, for `use`. */
export function withPath<Result>(
  path: PathDescription,
  config: Config,
  use: (store: Store) => Promise<Result>,
  options: OpenOptions & Pick<StoreOptions, 'hashing'> = {},
): Promise<Result> {
  const store = {
    identity: config.sshIdentity,
    connectTimeout: config.sshConnectTimeout,
    stallTimeout: config.stallTimeout,
    transferTimeout: config.transferTimeout,
    compressionLevel: config.compressionLevel,
    hashing: options.hashing,
  }
  return withStore(path, store, use, options)
}
