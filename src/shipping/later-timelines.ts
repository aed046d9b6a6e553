import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeIfThere } from '../fs/durable.ts'
import type { SchedulePath } from '../schedule/types.ts'
import { storedName } from '../stores/stored-file.ts'
import { historyName } from '../wal/names.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import type { History } from './ended.ts'
import type { Shipper } from './shipper.ts'

/** What is known of timelines that began after a server's own. */
export interface LaterTimelines {
  /** All that were archived to this path. Rejects as the store does. */
  onPath(path: SchedulePath, timeline: number): Promise<History[]>
}

/**
 * Reads them off a path as PostgreSQL does: by the next timeline's number, and the next, until there is none
 * (findNewestTimeLine, timeline.c).
 */
export function openLaterTimelines({
  member,
  stateDirectory,
  connections,
}: Shipper): LaterTimelines {
  const known = new Map<string, History>()
  return {
    async onPath(path, timeline) {
      const found: History[] = []
      return await connections.withPath(path, async (store) => {
        for (let next = timeline + 1; ; next++) {
          const key = `${path.uuid} ${next}`
          const name = historyName(next)
          const file = join(stateDirectory, `${name}.${randomUUID()}.tmp`)
          try {
            if (!known.has(key)) {
              const digest = await store.get(storedName(member.fingerprint, name), file)
              if (digest === 'absent') return found
              const ancestors = parseTimelineHistory(await readFile(file, 'utf8'), next)
              known.set(key, { timeline: next, ancestors })
            }
          } finally {
            await removeIfThere(file)
          }
          found.push(known.get(key) as History)
        }
      })
    },
  }
}
