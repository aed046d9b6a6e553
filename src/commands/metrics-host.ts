import { type HostStatus, readHostStatus } from '../archive/host-status.ts'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { Collected } from '../monitor/collected.ts'
import { readHostArchiving } from '../monitor/host-archiving.ts'
import { hostMetrics } from '../monitor/host-metrics.ts'
import { readWalSpace } from '../monitor/wal-space.ts'
import { openRegistered } from '../postgres/registered.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { requireReadableRoute } from '../schedule/cached-route.ts'

/**
 * What the data directories that are registered here show of their archiving, without asking anybody.
 * Rejects with `usage` where there is none.
 */
export async function collectHost(config: Config): Promise<Collected> {
  const statuses = await readHostStatus(config)
  if (statuses.length === 0) {
    throw new PgarchError(
      'usage',
      `no data directory is registered below "${config.stateDirectory}"`,
      { hint: "Run it as root or as the server's user." },
    )
  }
  const facts = await Promise.all(statuses.map((status) => factsOf(status, config)))
  return {
    families: hostMetrics(facts, new Date()),
    troubles: facts.flatMap(({ dataDirectory, error }) =>
      error === null ? [] : new PgarchError('unusable', `"${dataDirectory}": ${error}`),
    ),
  }
}

async function factsOf({ error, worker, ...known }: HostStatus, config: Config) {
  const { dataDirectory: path } = known
  const errors = error === null ? [] : [error]
  /** What cannot be read must not hide what can. */
  const orTell = async <Result>(read: Promise<Result>): Promise<Result | null> => {
    try {
      return await read
    } catch (thrown) {
      if (!(thrown instanceof PgarchError)) throw thrown
      if (!errors.includes(thrown.message)) errors.push(thrown.message)
      return null
    }
  }
  const stateDirectory = stateDirectoryOf(config.stateDirectory, { path })
  const registered = openRegistered(path, config.stateDirectory, config.member)
  registered.catch(() => {}) // while another part is read
  await orTell(requireReadableRoute(stateDirectory))
  const facts = {
    ...known,
    workerRuns: worker && !('absence' in worker),
    archiving: await orTell(
      registered.then(({ dataDirectory, member }) =>
        readHostArchiving(dataDirectory, stateDirectory, member),
      ),
    ),
    walSpace: await orTell(readWalSpace(path)),
  }
  return { ...facts, error: errors.length === 0 ? null : errors.join('; ') }
}
