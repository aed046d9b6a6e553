import { ringsWithin } from '../bell.ts'
import { PgarchError } from '../errors.ts'
import { privateExit } from '../exit-codes.ts'
import { log } from '../log.ts'
import { readServerSetting } from '../postgres/server-setting.ts'
import type { SegmentName } from '../wal/names.ts'
import { askArchive } from './ask-archive.ts'
import { findBranch } from './branch.ts'
import { deliverShipped } from './deliver-shipped.ts'
import { liesInWal } from './in-wal.ts'
import type { Round } from './round.ts'
import { standingBefore } from './wait-answers.ts'
import type { WaitMeans } from './wait-means.ts'
import { type Standing, waitDecision } from './wait-policy.ts'
import { type WaitWords, warnOfRecoveryPrefetch, wordsOfWait } from './wait-words.ts'

/**
 * Waits until a segment is archived, for a server in archive recovery, and places it; or until recovery
 * is told to end. Resolves to the exit code for the launcher.
 */
export async function waitForSegment(segment: SegmentName, means: WaitMeans): Promise<number> {
  const { options, archiveBell, triggerBell } = means
  const words = wordsOfWait(segment.name)
  const start = performance.now()
  /** Not yet old enough before this time. */
  let due = 0
  for (let rounds = 0; ; rounds++) {
    archiveBell.answer()
    triggerBell.answer()
    const waited = performance.now() - start
    const maxWaitIsOver = options.maxWait > 0 && waited >= options.maxWait
    const standing = { ...(await standingBefore(segment, means)), maxWaitIsOver }
    if (waitDecision(standing) !== 'ask') return await endWithout(segment, standing, means, words)

    if (isDelayed(standing, means) && performance.now() >= due) {
      due = performance.now() + (await delayLeft(segment, means))
    }
    if (!isDelayed(standing, means) || performance.now() >= due) {
      const round = await askUnlessFast(segment, standing, means)
      if (round === undefined) continue
      const decision = await decideAfter(segment, round, standing, means, words)
      words.round(round, standing, decision)
      if (decision === privateExit.absent && mayBeShipped(standing)) {
        const { target, config } = means
        const shipped = await unlessFast(deliverShipped(segment.name, target, config), means)
        if (shipped === undefined) continue
        const last = waitDecision({ ...standing, outcome: shipped.outcome })
        words.round(shipped, standing, last)
        if (typeof last === 'number') return last
      } else if (typeof decision === 'number') return decision
    }
    if (means.isOrphaned()) return privateExit.cannotTell
    if (rounds === 0) {
      if (options.debug) log.info(`waits for "${segment.name}"`)
      void warnOfRecoveryPrefetch(means)
    }
    await ringsWithin(options.sleep, archiveBell, triggerBell)
  }
}

/** The answer to what was decided before anybody was asked. */
async function endWithout(
  segment: SegmentName,
  { trigger }: Standing,
  { notes, useUpTrigger }: WaitMeans,
  words: WaitWords,
): Promise<number> {
  if (trigger === 'fast') {
    words.fast()
    // The server's next questions must meet one or the other: emptied, and with no note, it would be a
    // smart one, which waits for whatever cannot be reached.
    if (await notes.write('fast', segment.name)) await useUpTrigger()
  }
  return privateExit.absent
}

/** Smart ends recovery with the last of WAL, and that is what was shipped of a segment that is absent. */
function mayBeShipped({ trigger, fastBefore }: Standing): boolean {
  return trigger === 'smart' && fastBefore === 'never'
}

function isDelayed({ trigger, fastBefore }: Standing, { options }: WaitMeans): boolean {
  return options.restoreDelay > 0 && trigger === 'none' && fastBefore === 'never'
}

/** Milliseconds until the segment is old enough; where that cannot be told, until it is asked again. */
async function delayLeft(segment: SegmentName, means: WaitMeans): Promise<number> {
  const { sources, target, options } = means
  const age = await sources.archivedAge(target.cluster, segment.name)
  return age === null ? options.sleep : Math.max(0, options.restoreDelay - age)
}

async function askUnlessFast(
  segment: SegmentName,
  { fastBefore }: Standing,
  means: WaitMeans,
): Promise<Round | undefined> {
  const { target, config } = means
  const deadline = fastBefore === 'never' ? undefined : config.fetchStandbyDeadline
  return await unlessFast(askArchive(segment.name, target, config, deadline), means)
}

/** One round; undefined when a fast trigger comes meanwhile. */
async function unlessFast(
  asked: Promise<Round>,
  { triggerBell, trigger }: WaitMeans,
): Promise<Round | undefined> {
  asked.catch(() => {}) // nobody may be left to hear of it
  let rang = false
  try {
    for (;;) {
      const round = await Promise.race([asked, triggerBell.rings()])
      if (round !== undefined) return round
      rang = true
      triggerBell.answer()
      if ((await trigger()) === 'fast') return undefined
    }
  } finally {
    // Smart was given: absent counts only once everybody was asked after it.
    if (rang) triggerBell.ring()
  }
}

async function decideAfter(
  segment: SegmentName,
  { outcome }: Round,
  before: Standing,
  means: WaitMeans,
  words: WaitWords,
) {
  return waitDecision({
    ...before,
    outcome,
    liesInWal: before.fastBefore === 'ahead' && (await liesInWal(segment, means.target)),
    // After fast, absent is the answer whatever branched off.
    branchedOff:
      before.fastBefore === 'never' &&
      outcome === 'absent' &&
      (await isBranchedOff(segment, means, words)),
  })
}

/** Whether a timeline begins in the segment that the server would follow if it were started again. */
async function isBranchedOff(
  segment: SegmentName,
  { target, config, server }: WaitMeans,
  words: WaitWords,
): Promise<boolean> {
  if (server === undefined) return false
  const { dataDirectory } = server
  // A history that cannot be read is no reason to stop a server that waits: it is looked for again.
  const branch = await findBranch(segment, dataDirectory, target, config).catch(
    (error: unknown) => {
      if (error instanceof PgarchError) return undefined
      throw error
    },
  )
  if (branch === undefined) return false
  const setting = await readServerSetting(dataDirectory.path, 'recovery_target_timeline')
  if (setting !== undefined && setting !== 'latest') return false
  if (branch.begins === 'before') {
    words.once(
      `timeline ${branch.timeline} branched off before "${segment.name}", and this server has gone past that`,
      'It cannot follow the new timeline: restore a base backup.',
    )
    return false
  }
  log.warning(
    `timeline ${branch.timeline} branched off in "${segment.name}", which is not archived on timeline ${segment.timeline}: the server stops`,
    'Start it again: it then follows the new timeline. Fast, before that, ends recovery here.',
  )
  return true
}
