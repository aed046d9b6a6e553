import { ringsWithin } from '../bell.ts'
import { type Config, keepingNames } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { privateExit } from '../exit-codes.ts'
import { removeUnfinished } from '../fs/durable.ts'
import { log } from '../log.ts'
import { parseWalName, type WalName } from '../wal/names.ts'
import { askArchive } from './ask-archive.ts'
import { cleanBehind } from './clean-behind.ts'
import { fetchDecision } from './exit-policy.ts'
import { placeRememberedHistory, rememberHistory } from './known-history.ts'
import { removeLeftovers } from './place.ts'
import { startPrefetch } from './prefetch-start.ts'
import { placed, type Round } from './round.ts'
import { type FetchRequest, identifyTarget, type Target } from './target.ts'
import { isFast, isGivenUp } from './wait-answers.ts'
import type { WaitMeans } from './wait-means.ts'
import type { WaitOptions } from './wait-options.ts'

/** Between two rounds of asking in an outage, in milliseconds. */
const pause = { first: 500, longest: 5000 }

/**
 * Brings back one WAL file: identify, locate, store.get, verify, place. Resolves to the exit code for
 * the launcher; rejects only on what asking again could not change, before anything was asked.
 */
export async function fetch(request: FetchRequest, given: Config): Promise<number> {
  const walName = parseWalName(request.walName)
  if (walName === undefined) {
    throw new PgarchError('refused', `"${request.walName}" is not the name of a WAL file`, {
      hint: "restore_command must be given PostgreSQL's %f and %p: 'pgarch fetch %f %p'.",
    })
  }
  // Nobody ever writes a history of timeline 1. PostgreSQL asks for it nevertheless when it begins
  // timeline 2, with its signal files removed already: an outage must not stop it at that point.
  if (walName.kind === 'history' && walName.timeline === 1) return privateExit.absent

  for (const path of request.without) {
    log.warning(
      `path "${path}" is left out, whatever it holds of "${request.walName}"`,
      'WAL that is nowhere else counts as absent, and recovery ends there.',
    )
  }
  const target = await identifyTarget(request, given)
  const { stateDirectory } = target
  const config = stateDirectory === undefined ? given : keepingNames(given, stateDirectory)
  await removeLeftovers(target.walPath)
  if (stateDirectory !== undefined) await removeUnfinished(stateDirectory)
  try {
    const status =
      request.waiting !== undefined && target.role === 'archive-recovery'
        ? await fetchWaiting(walName, request.waiting, target, config)
        : await fetchPatiently(walName, target, config)
    if (status === privateExit.done) {
      await startPrefetch(request, config)
      await cleanBehind(request, target, config)
    }
    return status
  } finally {
    await target.rests?.save().catch((error: unknown) => {
      log.warning(`could not remember what failed: ${describeError(error)}`)
    })
  }
}

/** Segments are waited for; all else is answered as without --wait, but for what fast overrides. */
async function fetchWaiting(
  walName: WalName,
  options: WaitOptions,
  target: Target,
  config: Config,
): Promise<number> {
  const [{ waitForSegment }, { openWaitMeans }] = await Promise.all([
    import('./wait.ts'),
    import('./wait-means.ts'),
  ])
  const means = await openWaitMeans(target, options, config)
  try {
    return walName.kind === 'segment'
      ? await waitForSegment({ ...walName, kind: 'segment' }, means)
      : await fetchPatiently(walName, means.target, config, means)
  } finally {
    means.close()
  }
}

/** @param means of a call that must not hold up a fast end of recovery */
async function fetchPatiently(
  walName: WalName,
  target: Target,
  config: Config,
  means?: WaitMeans,
): Promise<number> {
  const start = performance.now()
  for (let wait = pause.first, rounds = 1; ; wait = Math.min(wait * 2, pause.longest), rounds++) {
    means?.triggerBell.answer()
    const { outcome, doubts } = await askEverywhere(walName, target, config, means)
    const patienceLeft = config.fetchPatience - (performance.now() - start)
    const decision = fetchDecision(target.role, outcome, patienceLeft)
    if (decision !== 'again' || rounds === 1) {
      for (const doubt of doubts) log.warning(doubt.message, doubt.hint)
    }
    if (means !== undefined && (await isGivenUp(walName, outcome, means))) return privateExit.absent
    if (decision !== 'again') return decision
    if (rounds === 1) {
      log.warning(`cannot tell yet whether "${walName.name}" is archived, and asks again`)
    }
    await ringsWithin(
      Math.min(wait, patienceLeft),
      ...(means === undefined ? [] : [means.triggerBell]),
    )
  }
}

/**
 * One round: the scheduling database, every path, for a timeline history what is known besides, and for
 * a segment that is absent what was shipped of it, where that is wanted.
 */
async function askEverywhere(
  { name, kind }: WalName,
  target: Target,
  config: Config,
  means: WaitMeans | undefined,
): Promise<Round> {
  const isUrgent = means !== undefined && (await isFast(means))
  const deadline = isUrgent ? config.fetchStandbyDeadline : undefined
  const round = await askArchive(name, target, config, deadline)
  if (round.outcome === 'absent' && target.includeShipped) {
    const { deliverShipped } = await import('./deliver-shipped.ts')
    return await deliverShipped(name, target, config)
  }
  if (kind !== 'history') return round
  if (round.outcome === 'placed') await rememberHistory(target, name)
  if (round.outcome === 'placed' || round.outcome === 'absent') return round
  return (await placeRememberedHistory(target, name)) ? placed : round
}
