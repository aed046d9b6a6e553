import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { withScheduling } from '../resources.ts'
import { appendToJournal, deliverJournal } from '../schedule/journal.ts'
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
  const { stateDirectory, rests, means } = archiver
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
    await appendToJournal(stateDirectory, entry)
  }
}

/** Delivers all that waits; resolves to how many. Rejects when the scheduling database cannot be used. */
export async function flushJournal(archiver: Archiver): Promise<number> {
  const { stateDirectory, member, config } = archiver
  return await withScheduling(config, async (schedule) => {
    const { delivered, conflicts } = await deliverJournal(
      stateDirectory,
      schedule,
      member,
      Number.POSITIVE_INFINITY,
    )
    reportLateConflicts(conflicts)
    return delivered
  })
}

/** What was archived in an outage, and turns out to be another server's business. */
function reportLateConflicts(conflicts: readonly LateConflict[]): void {
  for (const { walName, claimedBy } of conflicts) {
    const message = `"${walName}" was archived with other content by ${claimedBy}, during an outage`
    log.error(new PgarchError('conflict', message, { hint: conflictHint }))
  }
}
