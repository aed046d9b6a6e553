import type { Config } from '../config.ts'
import { describeError, type PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { askArchive } from '../restore/ask-archive.ts'
import type { FetchOutcome } from '../restore/exit-policy.ts'
import type { Target } from '../restore/target.ts'
import type { Lifetime } from './lifetime.ts'
import type { Spool } from './spool.ts'

/** What a segment is prefetched by. */
export interface Lane {
  readonly config: Config
  readonly target: Target
  readonly spool: Spool
  readonly lifetime: Lifetime
  /** Troubles that worker.log tells of already: a path that is down would be one with each segment. */
  readonly told: Set<string>
}

/**
 * Lays one segment ready: the first of its names that is archived is what recovery will get. Never
 * rejects.
 */
export async function prefetchSegment(names: readonly string[], on: Lane): Promise<FetchOutcome> {
  for (const name of names) {
    try {
      const outcome = await prefetchFile(name, on)
      if (outcome !== 'absent') return outcome
    } catch (error) {
      if (!on.told.has(describeError(error)) && !on.lifetime.isOver()) log.error(error)
      on.told.add(describeError(error))
      return 'unreachable'
    }
  }
  return 'absent'
}

async function prefetchFile(name: string, on: Lane): Promise<FetchOutcome> {
  const { spool, target, config, lifetime } = on
  try {
    await spool.begin(name)
    const walPath = spool.incoming(name)
    const { outcome, doubts } = await askArchive(name, { ...target, walPath }, config)
    // By then the spool is gone, or another one's.
    if (lifetime.isOver()) return outcome
    if (outcome !== 'absent') tell(doubts, on)
    if (outcome === 'placed') await spool.publish(name)
    return outcome
  } finally {
    await spool.end(name)
  }
}

function tell(doubts: readonly PgarchError[], { told }: Lane): void {
  for (const { message, hint } of doubts) {
    if (!told.has(message)) log.warning(message, hint)
    told.add(message)
  }
}
