import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor, wakeArchiver } from '../support/fleet.ts'
import { readyFiles } from '../support/worker.ts'
import { shuffled } from './chance.ts'
import { type Cluster, journalOf, localFilesOf, type Scene } from './clusters.ts'
import { extent, limit } from './extent.ts'
import { type Fault, faultsOfPaths, letTimePass, otherFaults } from './faults.ts'
import { finishSegment, startWriters } from './writers.ts'

/**
 * While all clusters write, everything happens that can, in any order; what happens to paths at the
 * same time as the rest. Resolves to how often, once all that was written is settled.
 */
export async function endure(scene: Scene): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const story: string[] = []
  const writers = startWriters(scene.clusters)
  try {
    await storm(scene, (what, how) => {
      counts[what] = (counts[what] ?? 0) + 1
      story.push(`${new Date().toISOString()} ${what}: ${how}`)
    })
    await writers.end()
    await settle(scene)
  } catch (error) {
    // What happens by chance is told, so that it can be understood.
    throw new Error(`${story.join('\n')}\n${error}`, { cause: error })
  } finally {
    await writers.end().catch(() => {}) // what went wrong first says more
  }
  return counts
}

async function storm(scene: Scene, tell: (what: string, how: string) => void): Promise<void> {
  async function happen(faults: readonly Fault[]): Promise<void> {
    for (const [what, fault] of shuffled(faults)) {
      tell(what, await fault(scene))
      await sleep(extent.calm)
    }
  }
  for (let round = 0; round < extent.rounds; round++) {
    // When one fails, the other is not left alone with the scene's end.
    const both = await Promise.allSettled([happen(faultsOfPaths), happen(otherFaults)])
    for (const one of both) if (one.status === 'rejected') throw one.reason
    if (extent.restsEnd) for (const cluster of scene.clusters) letTimePass(scene, cluster)
  }
}

/** Until everything is archived, recorded and on a path. */
async function settle(scene: Scene): Promise<void> {
  const waiting = new Set(scene.clusters)
  const isSettled = async () => {
    for (const cluster of waiting) {
      const { archive, journal, local } = leftOf(scene, cluster)
      if (archive + journal + local === 0) waiting.delete(cluster)
      // It goes with the next file.
      else if (archive === 0) await finishSegment(cluster)
      else await wakeArchiver(cluster.server)
    }
    await sleep(1000)
    return waiting.size === 0
  }
  await waitFor('all is settled', isSettled, limit / 2).catch((error: unknown) => {
    const left = [...waiting].map((one) => `${one.name} ${JSON.stringify(leftOf(scene, one))}`)
    throw new Error(`not settled: ${left.join(', ')}`, { cause: error })
  })
}

/** Files that wait in pg_wal, records in the journal, and files that lie in the local archive. */
function leftOf(scene: Scene, cluster: Cluster) {
  return {
    archive: readyFiles(cluster.server).length,
    journal: journalOf(scene, cluster).length,
    local: localFilesOf(cluster).length,
  }
}
