import type { Config } from './config.ts'
import type { NameSettings } from './dns/ask.ts'
import { PgarchError } from './errors.ts'
import { type Schedule, type ScheduleSettings, withSchedule } from './schedule/connect.ts'
import { type OpenOptions, withStore } from './stores/open.ts'
import type { PathDescription, Store, StoreOptions } from './stores/store.ts'

/** Hosts that know nothing but their domain log in so, and trust no name without a certificate. */
const urlOfDomain =
  'postgresql://pgarch_agent@/pgarch?sslmode=verify-full&target_session_attrs=read-write'

/** Opens the scheduling database under the configuration, for `use`; `usage` where it names none. */
export async function withScheduling<Result>(
  config: Config,
  use: (schedule: Schedule) => Promise<Result>,
  purpose: ScheduleSettings['purpose'] = 'agent',
  statementTimeout?: number,
): Promise<Result> {
  const { scheduleDomain: domain, scheduleTimeout: timeoutMilliseconds } = config
  const url = scheduleUrl(config)
  const names = namesOf(config)
  const settings = { url, domain, names, timeoutMilliseconds, purpose, statementTimeout }
  return await withSchedule(settings, use)
}

/** As set, or as the domain has it; `usage` without both. */
export function scheduleUrl({ scheduleUrl: url, scheduleDomain: domain }: Config): string {
  if (url !== undefined) return url
  if (domain !== undefined) return urlOfDomain
  throw new PgarchError('usage', "the scheduling database's URL is not set", {
    hint: 'Set schedule.url in /etc/pgarch/pgarch.toml, PGARCH_SCHEDULE_URL, or --schedule; or schedule.domain, see docs/dns.md.',
  })
}

export function namesOf({ dnsServers, nameDirectory }: Config): NameSettings {
  return { servers: dnsServers, directory: nameDirectory }
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
    names: namesOf(config),
  }
  return withStore(path, store, use, options)
}
