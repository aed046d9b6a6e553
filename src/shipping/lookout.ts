import { setTimeout as sleep } from 'node:timers/promises'
import { describeError, PgarchError } from '../errors.ts'
import { writeShippingState } from '../postgres/shipping-state.ts'
import { fetchRoute } from '../schedule/agent.ts'
import { cacheRoute, readCachedRoute } from '../schedule/cached-route.ts'
import { scheduleRest } from '../schedule/rests.ts'
import { reportShipping } from '../schedule/shipping.ts'
import type { Route, SchedulePath } from '../schedule/types.ts'
import { parseWalName } from '../wal/names.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import { type History, refuseIfEnded } from './ended.ts'
import { openLaterTimelines } from './later-timelines.ts'
import type { Position } from './production.ts'
import type { Shipper } from './shipper.ts'

/** How far shipping is. */
export interface Progress {
  readonly position: Position
  /** Undefined: nothing was shipped yet. */
  readonly shipped: bigint | undefined
  /** How far the server was when all of that was to be shipped: at once, it is always further already. */
  readonly wanted: bigint | undefined
  /** To which the last bytes went. */
  readonly path: SchedulePath | undefined
}

/** Milliseconds. */
const times = {
  /** Between two looks. */
  interval: 1000,
  /** So old may what was seen be when something is appended. */
  oldest: 2000,
  /** So long the scheduling database holds up shipping that was asleep. */
  patience: 1000,
}

/**
 * Looks whether this shipper may go on: whether its timeline has ended, by the history files on the path
 * and in the scheduling database, and whether the cluster has another shipper. The scheduling database is
 * told meanwhile how far shipping is, and the state directory too.
 */
export interface Lookout {
  /**
   * Resolves when it may write, to the route. While it ships, looks are made beside it; after a pause, be it
   * of the cluster or of this process, one is made before. `refused` when it must end.
   */
  mayWrite(progress: Progress): Promise<Route>
  /** Tells what was not told yet, a second after the last time. Throws what `mayWrite` does. */
  tell(progress: Progress): void
  /** Tells it at last, and that this shipper has ended. */
  end(progress: Progress): Promise<void>
}

export function openLookout(shipper: Shipper): Lookout {
  const { member, stateDirectory, connections, rests, outages } = shipper
  const laterTimelines = openLaterTimelines(shipper)
  let route: Route | undefined
  /** When the last look began that has come to its end, and the last one at all. */
  let seen = Number.NEGATIVE_INFINITY
  let begun = Number.NEGATIVE_INFINITY
  let running: { schedule: Promise<void>; path: Promise<void> } | undefined
  let refusal: { error: unknown } | undefined
  let told: bigint | undefined

  async function lookAtSchedule(progress: Progress, ended: boolean): Promise<void> {
    if (rests.isResting(scheduleRest)) return
    const { position, shipped = null, wanted = null, path } = progress
    try {
      await connections.schedule.use(async (open) => {
        const answer = await reportShipping(open, member, {
          shipper: shipper.id,
          timeline: position.timeline,
          shipped,
          flushed: wanted,
          pathId: path?.id ?? null,
          ended,
        })
        refuseIfEnded(position, answer.histories.map(historyOf))
        if (answer.holder !== null) throw anotherShips(answer.holder)
        if (route?.version === answer.version) return
        route = (await fetchRoute(open, member, [])).route
        await cacheRoute(stateDirectory, route)
      })
      rests.note(scheduleRest, 'worked')
      outages.end('schedule', 'the scheduling database is told again how far shipping is')
    } catch (error) {
      if (!(error instanceof PgarchError) || error.failure === 'refused') throw error
      rests.note(scheduleRest, 'failed')
      outages.begin('schedule', `${error.message}; shipping goes on without it`, error.hint)
    }
  }

  /** The path that is written to; where it fails, so will what is written. */
  async function lookAtPath({ position, path }: Progress): Promise<void> {
    const where = path ?? route?.paths[0]
    if (where === undefined || rests.isResting(String(where.id))) return
    try {
      refuseIfEnded(position, await laterTimelines.onPath(where, position.timeline))
    } catch (error) {
      if (!(error instanceof PgarchError) || error.failure === 'refused') throw error
    }
  }

  async function note({ position, shipped, wanted, path }: Progress): Promise<void> {
    const { timeline } = position
    const flushed = wanted ?? position.flushed
    const where = path?.name ?? null
    const far = { timeline, shipped: shipped ?? null, flushed }
    const state = { pid: process.pid, ...far, path: where, time: new Date() }
    await writeShippingState(stateDirectory, state).catch((error: unknown) => {
      outages.begin('state', `could not note how far shipping is: ${describeError(error)}`)
    })
  }

  function begin(progress: Progress): void {
    if (running !== undefined || performance.now() - begun < times.interval) return
    begun = performance.now()
    told = progress.shipped
    const began = begun
    const keep = (work: Promise<void>) =>
      work.catch((error: unknown) => {
        refusal ??= { error }
      })
    const schedule = keep(lookAtSchedule(progress, false))
    const path = keep(lookAtPath(progress))
    running = { schedule, path }
    void Promise.all([schedule, path, note(progress)]).then(() => {
      seen = began
      running = undefined
    })
  }

  function refuse(): void {
    if (refusal !== undefined) throw refusal.error
  }

  return {
    async mayWrite(progress) {
      refuse()
      if (route === undefined) {
        // Without one there is nowhere to look, nor to write.
        await lookAtSchedule(progress, false)
        const cached = await readCachedRoute(stateDirectory, member.fingerprint)
        route ??= cached?.route
        if (route === undefined) {
          throw new PgarchError(
            'unreachable',
            'the scheduling database does not tell where to ship to',
          )
        }
      }
      begin(progress)
      if (running !== undefined && performance.now() - seen > times.oldest) {
        const { schedule, path } = running
        await Promise.all([path, Promise.race([schedule, sleep(times.patience)])])
      }
      refuse()
      refuseUnlessStarted(route)
      return route
    },
    tell(progress) {
      refuse()
      if (progress.shipped !== told) begin(progress)
    },
    async end(progress) {
      await Promise.race([running?.schedule, sleep(times.patience)])
      const ending = Promise.all([lookAtSchedule(progress, true), note(progress)])
      await Promise.race([ending, sleep(times.patience)])
    },
  }
}

function historyOf({ walName, content }: { walName: string; content: Buffer }): History {
  const timeline = parseWalName(walName)?.timeline ?? 0
  return { timeline, ancestors: parseTimelineHistory(content.toString('utf8'), timeline) }
}

function anotherShips(host: string): PgarchError {
  return new PgarchError('refused', `a shipper on host "${host}" ships this cluster already`, {
    hint: 'One is enough. If that host is gone, this is let in a minute after it was last heard of.',
  })
}

/** Somebody wants nothing to be archived now. */
function refuseUnlessStarted({ clusterName, switch: position }: Route): void {
  if (position === 'start') return
  throw new PgarchError(
    'unreachable',
    `archiving of cluster "${clusterName}" is at ${position}, and so is shipping`,
    { hint: 'It goes on after "pgarch cluster start".' },
  )
}
