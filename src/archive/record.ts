import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import type { Member } from '../postgres/member.ts'
import { withScheduling } from '../resources.ts'
import type { Schedule } from '../schedule/connect.ts'
import { appendToJournal, deliverJournal, journalState } from '../schedule/journal.ts'
import { scheduleRest } from '../schedule/rests.ts'
import type { Entry, LateConflict } from '../schedule/types.ts'
import type { Archiver } from './identify.ts'
import { conflictHint, isOutage, type TakenRoute } from './take-route.ts'

/**
 * The stage *record*: the scheduling database learns what waits in the journal, oldest first, and then
 * this; or, while it cannot be used, this waits in the journal. Resolves once either is durable.
 */
export async function record(
  archiver: Archiver,
  entry: Entry,
  source: TakenRoute['source'],
): Promise<void> {
  const { stateDirectory, member, rests, means } = archiver
  if (source === 'schedule') {
    try {
      const { outcome, conflicts } = await means.deliver(entry)
      reportLateConflicts(conflicts)
      if (outcome === 'delivered') return
    } catch (error) {
      if (!(error instanceof PgarchError) || !isOutage(error)) throw error
      rests.note(scheduleRest, 'failed')
      log.warning(`${error.message}; the record waits in the journal`)
    }
  }
  // Tries that all failed are in the server's log; PostgreSQL repeats them every minute.
  if (entry.events.some(({ status }) => status !== 'failed')) {
    await appendToJournal(stateDirectory, member, entry)
  }
}

/**
 * Delivers all that waits for this cluster; resolves to how many, and how many of other clusters stay.
 * Rejects when the scheduling database cannot be used.
 */
export async function flushJournal(
  archiver: Archiver,
): Promise<{ delivered: number; ofOthers: number }> {
  const { stateDirectory, member, config } = archiver
  const delivered = await withScheduling(config, (schedule) =>
    deliverAll(stateDirectory, schedule, member),
  )
  const { ofOthers } = await journalState(stateDirectory, member.fingerprint)
  return { delivered, ofOthers }
}

/**
 * Before a data directory gets another cluster's membership: delivers what waits, while the one that
 * may do so is at hand. What cannot be delivered stays, as the former cluster's, with a warning.
 */
export async function deliverBeforeLeaving(
  stateDirectory: string,
  schedule: Schedule,
  former: Member,
): Promise<void> {
  try {
    await deliverAll(stateDirectory, schedule, former)
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    log.warning(
      `what waits in the journal stays there, for cluster "${former.clusterName ?? former.fingerprint}": ${error.message}`,
      othersHint,
    )
  }
}

/** For records of a cluster that this data directory no longer belongs to. */
export const othersHint =
  'The files that they tell of are on the paths: "pgarch schedule rebuild" records them. See docs/scheduling-database.md.'

async function deliverAll(
  stateDirectory: string,
  schedule: Schedule,
  member: Member,
): Promise<number> {
  const never = Number.POSITIVE_INFINITY
  const { delivered, conflicts } = await deliverJournal(stateDirectory, schedule, member, never)
  reportLateConflicts(conflicts)
  return delivered
}

/** What was archived in an outage, and turns out to be another server's business. */
function reportLateConflicts(conflicts: readonly LateConflict[]): void {
  for (const { walName, claimedBy } of conflicts) {
    const message = `"${walName}" was archived with other content by ${claimedBy}, during an outage`
    log.error(new PgarchError('conflict', message, { hint: conflictHint }))
  }
}
