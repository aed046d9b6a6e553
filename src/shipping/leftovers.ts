import { PgarchError } from '../errors.ts'
import { isThere } from '../fs/there.ts'
import { locate } from '../schedule/agent.ts'
import { scheduleRest } from '../schedule/rests.ts'
import type { SchedulePath } from '../schedule/types.ts'
import { parseShippedName } from '../stores/shipped-file.ts'
import type { Store } from '../stores/store.ts'
import { storedName } from '../stores/stored-file.ts'
import { type Shipper, statusFile } from './shipper.ts'

/** How long one that may not go yet is left alone: it doubles with every look. Milliseconds. */
const pause = { first: 1000, longest: 600_000 }

/** Shipped files that are not written to any more: each goes once its segment is archived. */
export interface Leftovers {
  add(path: SchedulePath, name: string): void
  /** Adds what lies in a directory of a path, without the one that is being written. */
  find(path: SchedulePath, directory: string, current: string | undefined): Promise<void>
  /** Begins to remove what may go, if it is time; what goes wrong is tried again. */
  tidy(): void
  /** Resolves when nothing is being removed. */
  settled(): Promise<void>
}

interface Leftover {
  readonly path: SchedulePath
  readonly name: string
  readonly segment: string
  /** By a clock that nobody sets. */
  due: number
  pause: number
}

export function openLeftovers(shipper: Shipper): Leftovers {
  const { member, connections, rests } = shipper
  const all = new Map<string, Leftover>()
  let running: Promise<void> | undefined

  function add(path: SchedulePath, name: string): void {
    const segment = parseShippedName(name)?.segment
    const key = `${path.id} ${name}`
    if (segment === undefined || all.has(key)) return
    all.set(key, { path, name, segment, due: performance.now(), pause: pause.first })
  }

  async function tidyUp(due: readonly [string, Leftover][]): Promise<void> {
    for (const [key, one] of due) {
      if (await mayPass(() => removeIfArchived(one))) {
        all.delete(key)
      } else {
        one.due = performance.now() + one.pause
        one.pause = Math.min(one.pause * 2, pause.longest)
      }
    }
  }

  async function removeIfArchived({ path, name, segment }: Leftover): Promise<boolean> {
    // Of this very server, and to be archived still.
    if (await isThere(statusFile(shipper, segment, 'ready'))) return false
    if (rests.isResting(String(path.id))) return false
    return await connections.withPath(path, async (store) => {
      if (!(await isArchived(store, segment))) return false
      await store.remove(name)
      return true
    })
  }

  /** There, or by the scheduling database on another path; or it was, and was cleaned up since. */
  async function isArchived(store: Store, segment: string): Promise<boolean> {
    const { fingerprint, systemIdentifier } = member
    if ((await store.inspect(storedName(fingerprint, segment))) !== 'absent') return true
    if (rests.isResting(scheduleRest)) return false
    const cluster = { systemIdentifier, clusterName: null, fingerprint }
    const { paths, cleanedPaths } = await connections.schedule.use((open) =>
      locate(open, cluster, segment),
    )
    return cleanedPaths.length > 0 || paths.some(({ hasCopy }) => hasCopy)
  }

  return {
    add,
    async find(path, directory, current) {
      await connections.withPath(path, async (store) => {
        for await (const { name } of store.list(directory)) if (name !== current) add(path, name)
      })
    },
    tidy() {
      const now = performance.now()
      const due = [...all].filter(([, one]) => one.due <= now)
      if (running !== undefined || due.length === 0) return
      running = tidyUp(due).finally(() => {
        running = undefined
      })
    },
    async settled() {
      await running
    },
  }
}

/** Whoever waits here is in no hurry, and has another try. */
async function mayPass(work: () => Promise<boolean>): Promise<boolean> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof PgarchError) return false
    throw error
  }
}
