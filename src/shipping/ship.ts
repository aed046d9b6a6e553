import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { takeLock } from '../fs/worker-lock.ts'
import { log } from '../log.ts'
import { readShippingState } from '../postgres/shipping-state.ts'
import { formatLsn } from '../wal/lsn.ts'
import { findLeftovers } from './find-leftovers.ts'
import { type Leftovers, openLeftovers } from './leftovers.ts'
import { type Lookout, openLookout, type Progress } from './lookout.ts'
import { type Outlet, openOutlet } from './outlet.ts'
import { openProduction, type Position, type Production } from './production.ts'
import { openShipper, type Shipper } from './shipper.ts'

export interface ShipRequest {
  readonly pgdata: string
  /** Role on the production server; otherwise the operating system user's name. */
  readonly pguser: string | undefined
  /** Between two looks at the server, in milliseconds. */
  readonly interval: number
  /** Ships what there is now, and ends. */
  readonly once: boolean
}

/** Between tries while something fails, and looks at a server in recovery; milliseconds. */
const pause = { first: 500, longest: 5000, recovery: 1000 }

interface Work {
  readonly shipper: Shipper
  readonly production: Production
  readonly outlet: Outlet
  readonly leftovers: Leftovers
  readonly lookout: Lookout
  readonly signal: AbortSignal
}

/**
 * Copies the WAL that a primary flushes to the cluster's path, as it is written. Resolves when the signal is
 * aborted, or with `once` when all is shipped; rejects on what waiting cannot heal, or with `once` on
 * anything.
 */
export async function ship(
  request: ShipRequest,
  config: Config,
  signal: AbortSignal,
): Promise<void> {
  const shipper = await openShipper(request.pgdata, config)
  const production = openProduction(shipper.dataDirectory, request.pguser)
  signal.addEventListener('abort', () => void production.close(), { once: true })
  try {
    const lock = await takeLock(shipper.stateDirectory, 'ship')
    if (lock !== undefined) await shipLocked(shipper, production, request, lock, signal)
    else if (request.once) await untilOtherShipped(shipper, production, signal)
    else {
      throw new PgarchError(
        'refused',
        `another shipper runs for "${shipper.dataDirectory.path}" already`,
      )
    }
  } finally {
    await Promise.all([production.close(), shipper.connections.close()])
  }
}

async function shipLocked(
  shipper: Shipper,
  production: Production,
  request: ShipRequest,
  lock: Server,
  signal: AbortSignal,
): Promise<void> {
  const leftovers = openLeftovers(shipper)
  const outlet = openOutlet(shipper, leftovers)
  const lookout = openLookout(shipper)
  const work: Work = { shipper, production, outlet, leftovers, lookout, signal }
  try {
    if (request.once) await shipOnce(work)
    else await shipOn(work, request.interval)
  } finally {
    lock.close()
    await leftovers.settled()
  }
}

async function shipOnce({ production, outlet, lookout, signal }: Work): Promise<void> {
  const position = await production.position()
  if (position === 'in recovery') throw inRecovery()
  const route = await lookout.mayWrite(progressOf(outlet, position))
  await outlet.ship(position, route, signal)
  await lookout.end(progressOf(outlet, position))
  log.info(`all is shipped up to ${formatLsn(position.flushed)}`)
}

async function shipOn(work: Work, interval: number): Promise<void> {
  const { outlet, lookout, signal } = work
  let wait = pause.first
  let last: Position | undefined
  let wasLost = false
  const searched = new Set<string>()
  const before = await readShippingState(work.shipper.stateDirectory)
  while (!signal.aborted) {
    const began = performance.now()
    const position = await attempt(work, 'server', () => work.production.position())
    if (position === 'in recovery') {
      standBy(work)
      await rest(pause.recovery, signal)
      continue
    }
    work.shipper.outages.end('recovery', 'the server is a primary now')
    last = position === 'failed' ? last : position
    // It may have come back with less than it had flushed, from a snapshot, and have gone on past that since.
    if (wasLost && position !== 'failed') outlet.reset()
    wasLost = position === 'failed'
    const outcome =
      position === 'failed'
        ? position
        : await attempt(work, 'shipping', async () => {
            await shipNew(work, position)
            await findLeftovers(work.shipper, outlet, work.leftovers, before, searched)
          })
    wait = outcome === 'failed' ? Math.min(wait * 2, pause.longest) : pause.first
    await rest(outcome === 'failed' ? wait : interval - (performance.now() - began), signal)
  }
  if (last !== undefined) await lookout.end(progressOf(outlet, last))
}

/** The server may be given anything before it is promoted. */
function standBy({ shipper, outlet }: Work): void {
  outlet.reset()
  shipper.outages.begin(
    'recovery',
    'the server is in recovery: shipping begins when it is promoted',
  )
}

async function shipNew({ outlet, lookout, leftovers, signal }: Work, position: Position) {
  if (outlet.isBehind(position)) {
    const route = await lookout.mayWrite(progressOf(outlet, position))
    await outlet.ship(position, route, signal)
  } else {
    lookout.tell(progressOf(outlet, position))
  }
  leftovers.tidy()
}

/** What can heal is told once, and is 'failed'; it is tried again. */
async function attempt<Result>(
  { shipper, signal }: Work,
  what: 'server' | 'shipping',
  work: () => Promise<Result>,
): Promise<Result | 'failed'> {
  try {
    const result = await work()
    shipper.outages.end(what, what === 'server' ? 'the server answers again' : 'shipping goes on')
    return result
  } catch (error) {
    if (signal.aborted) return 'failed'
    if (!mayHeal(error)) throw error
    shipper.outages.begin(what, error.message, error.hint)
    return 'failed'
  }
}

function mayHeal(error: unknown): error is PgarchError {
  return error instanceof PgarchError && error.failure !== 'refused' && error.failure !== 'usage'
}

/** Also returns when the signal is aborted. */
async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(milliseconds, 0), undefined, { signal }).catch(() => {})
}

function progressOf({ shipped, wanted, path }: Outlet, position: Position): Progress {
  return { position, shipped, wanted, path }
}

/** For a script that wants to know that all is shipped, while a shipper runs: it has told so. */
async function untilOtherShipped(
  { stateDirectory, config }: Shipper,
  production: Production,
  signal: AbortSignal,
): Promise<void> {
  const position = await production.position()
  if (position === 'in recovery') throw inRecovery()
  const deadline = performance.now() + config.transferTimeout
  while (performance.now() < deadline && !signal.aborted) {
    const told = await readShippingState(stateDirectory)
    const isShipped =
      told?.timeline === position.timeline && (told.shipped ?? 0n) >= position.flushed
    if (isShipped) {
      log.info(`all is shipped up to ${formatLsn(position.flushed)}, by the shipper that runs`)
      return
    }
    await rest(100, signal)
  }
  throw new PgarchError(
    'unreachable',
    `the shipper that runs has not come to ${formatLsn(position.flushed)} within ${config.transferTimeout / 1000} s`,
  )
}

function inRecovery(): PgarchError {
  return new PgarchError('refused', 'the server is in recovery, and writes nothing to ship')
}
