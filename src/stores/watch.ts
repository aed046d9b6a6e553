import { PgarchError } from '../errors.ts'

/** How one call on a store tells that it gets on, and learns that it shall stop. */
export interface Watch {
  /** Looked at between steps; its reason is what the call rejects with. */
  readonly signal: AbortSignal
  /** Bytes moved, or a request was answered. */
  progress(): void
  /** One request of which an answer is progress. */
  step<Result>(work: Promise<Result>): Promise<Result>
  /** An fsync: however long the disk takes, only the deadline of the whole call counts. */
  unhurried<Result>(work: Promise<Result>): Promise<Result>
}

export interface Limits {
  /** Names the path in messages. */
  readonly pathName: string
  /** Milliseconds. */
  readonly stallTimeout: number
  readonly transferTimeout: number
  readonly signal: AbortSignal | undefined
  /** Cuts what the call hangs on. */
  abandon(): void
}

/** How long a call that was told to stop may take to tidy up, in milliseconds. */
const grace = 1000

/**
 * Runs one call on a store under its deadlines. When one expires, the connection is abandoned and the
 * call rejects with `unreachable`, naming the deadline; when the caller aborts, with the signal's
 * reason. Both leave the work a second to tidy up; work that hangs beyond that, in a dead NFS mount
 * say, is left behind, and whatever becomes of it then publishes nothing.
 */
export async function watched<Result>(
  limits: Limits,
  work: (watch: Watch) => Promise<Result>,
): Promise<Result> {
  const { pathName, stallTimeout, transferTimeout, signal, abandon } = limits
  signal?.throwIfAborted()
  const stop = new AbortController()
  const late = Promise.withResolvers<never>()
  let graceTimer: NodeJS.Timeout | undefined
  let unhurried = 0
  let ended = false

  stop.signal.addEventListener('abort', () => {
    graceTimer = setTimeout(() => {
      abandon()
      late.reject(stop.signal.reason)
    }, grace)
  })
  const expire = (what: string) => {
    stop.abort(new PgarchError('unreachable', `path "${pathName}": ${what}`))
    abandon()
  }
  const transferTimer = setTimeout(() => {
    expire(`the transfer took more than ${transferTimeout / 1000} s`)
  }, transferTimeout)
  const stallTimer = setTimeout(() => {
    if (unhurried > 0) stallTimer.refresh()
    else expire(`no progress for ${stallTimeout / 1000} s`)
  }, stallTimeout)
  const onAbort = () => stop.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort)

  const watch: Watch = {
    signal: stop.signal,
    progress: () => {
      if (!ended) stallTimer.refresh() // a timer that was cleared would run again
    },
    async step(answer) {
      const result = await answer
      watch.progress()
      return result
    },
    async unhurried(answer) {
      unhurried++
      try {
        return await watch.step(answer)
      } finally {
        unhurried--
      }
    },
  }
  try {
    const running = work(watch)
    running.catch(() => {}) // it may fail after `late`
    return await Promise.race([running, late.promise])
  } catch (thrown) {
    throw stop.signal.aborted ? stop.signal.reason : thrown
  } finally {
    ended = true
    for (const timer of [transferTimer, stallTimer, graceTimer]) clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
