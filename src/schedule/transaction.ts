import type { Schedule } from './connect.ts'

/** Commits when `fn` resolves, rolls back when it rejects. */
export function inTransaction<Result>(
  schedule: Schedule,
  fn: () => Promise<Result>,
): Promise<Result> {
  return between(schedule, 'begin', fn)
}

/** All that `fn` reads is as it was at its first query; it can write nothing. */
export function inSnapshot<Result>(schedule: Schedule, fn: () => Promise<Result>): Promise<Result> {
  return between(schedule, 'begin isolation level repeatable read read only', fn)
}

async function between<Result>(
  schedule: Schedule,
  begin: string,
  fn: () => Promise<Result>,
): Promise<Result> {
  await schedule.query(begin)
  try {
    const result = await fn()
    await schedule.query('commit')
    return result
  } catch (error) {
    // If even this fails the connection is gone, and the transaction with it.
    await schedule.query('rollback').catch(() => {})
    throw error
  }
}

/** Until the transaction ends nobody else registers a cluster with this system identifier. */
export async function lockIdentifier(schedule: Schedule, systemIdentifier: string): Promise<void> {
  await schedule.query(
    'select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))',
    [`pgarch register ${systemIdentifier}`],
  )
}
