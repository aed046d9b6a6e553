import { PgarchError } from './errors.ts'

/** Opens something, lets `use` have it, and closes it when that ends. */
export type Scope<Thing> = <Result>(use: (thing: Thing) => Promise<Result>) => Promise<Result>

/** Something that is opened when it is first wanted, and kept open for whoever wants it next. */
export interface Kept<Thing> {
  use<Result>(use: (thing: Thing) => Promise<Result>): Promise<Result>
  /** Resolves once nobody uses it any more, and it is closed. */
  close(): Promise<void>
}

interface Opened<Thing> {
  readonly thing: Promise<Thing>
  /** Undefined until it is open. */
  opened: Thing | undefined
  readonly closed: Promise<void>
  close(): void
  users: number
  retired: boolean
}

/**
 * Keeps what a scope opens, for `idle` milliseconds after its last use. One that failed is retired:
 * whoever comes next gets a new one, and it is closed when its last user is done. So is one that is
 * over, lost or no longer the right one, by the time of the next use: that is no failure of that user's.
 */
export function keep<Thing>(
  scope: Scope<Thing>,
  idle: number,
  isOver: (thing: Thing) => boolean = () => false,
): Kept<Thing> {
  let current: Opened<Thing> | undefined
  let timer: NodeJS.Timeout | undefined

  function retire(one: Opened<Thing>): void {
    one.retired = true
    if (current === one) current = undefined
    if (one.users === 0) one.close()
  }

  return {
    async use(use) {
      clearTimeout(timer)
      if (current?.opened !== undefined && isOver(current.opened)) retire(current)
      current ??= open(scope)
      const mine = current
      mine.users++
      try {
        return await use(await mine.thing)
      } catch (error) {
        if (!isAnswer(error)) retire(mine)
        throw error
      } finally {
        mine.users--
        if (mine.users === 0 && mine.retired) mine.close()
        if (mine.users === 0 && current === mine)
          timer = setTimeout(() => retire(mine), idle).unref()
      }
    },
    async close() {
      clearTimeout(timer)
      const one = current
      if (one === undefined) return
      retire(one)
      await one.closed
    },
  }
}

/**
 * The same for many who each need one to themselves: as many are open as were used at once, but at most
 * `most`; whoever comes then waits.
 */
export function keepSeveral<Thing>(
  scope: Scope<Thing>,
  idle: number,
  most: number,
  isOver?: (thing: Thing) => boolean,
): Kept<Thing> {
  const all: Kept<Thing>[] = []
  const free: Kept<Thing>[] = []
  const waiting: ((one: Kept<Thing>) => void)[] = []

  /** The last one that was used, so that those which are not needed come to be idle. */
  async function take(): Promise<Kept<Thing>> {
    const unused = free.pop()
    if (unused !== undefined) return unused
    if (all.length === most) return await new Promise((resolve) => waiting.push(resolve))
    const another = keep(scope, idle, isOver)
    all.push(another)
    return another
  }

  return {
    async use(use) {
      const mine = await take()
      try {
        return await mine.use(use)
      } finally {
        const next = waiting.shift()
        if (next !== undefined) next(mine)
        else free.push(mine)
      }
    },
    async close() {
      await Promise.all(all.map((one) => one.close()))
    },
  }
}

/**
 * Whether it says something of one file, and nothing of what was asked. All else, a login that is not
 * accepted as well, may be mended by the time of the next try, which a kept failure would not notice.
 */
function isAnswer(error: unknown): boolean {
  return error instanceof PgarchError && ['refused', 'conflict', 'damaged'].includes(error.failure)
}

function open<Thing>(scope: Scope<Thing>): Opened<Thing> {
  const ready = Promise.withResolvers<Thing>()
  const done = Promise.withResolvers<void>()
  const closed = scope(async (thing) => {
    ready.resolve(thing)
    await done.promise
  }).catch((error) => {
    ready.reject(error)
  })
  const one: Opened<Thing> = {
    ...{ thing: ready.promise, opened: undefined, closed, close: done.resolve },
    ...{ users: 0, retired: false },
  }
  ready.promise.then(
    (thing) => {
      one.opened = thing
    },
    () => {}, // its users are told
  )
  return one
}
