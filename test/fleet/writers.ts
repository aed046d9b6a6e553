import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './clusters.ts'
import { extent } from './extent.ts'

/** Every cluster finishes segments, one or a few at a time, until `end`, which waits for all of them. */
export function startWriters(clusters: readonly Cluster[]): { end(): Promise<void> } {
  let hasEnded = false
  const running = clusters.map((cluster) => keepWriting(cluster, () => hasEnded))
  for (const one of running) one.catch(() => {}) // it is awaited in the end
  return {
    async end() {
      hasEnded = true
      await Promise.all(running)
    },
  }
}

async function keepWriting(cluster: Cluster, hasEnded: () => boolean): Promise<void> {
  while (!hasEnded()) {
    const burst = 1 + Math.floor(Math.random() * 3)
    for (let done = 0; done < burst; done++) await finishSegment(cluster)
    // Short steps, so that the end is not waited for.
    const pause = Math.random() * 2 * extent.pace * burst
    for (let slept = 0; slept < pause && !hasEnded(); slept += 100) await sleep(100)
  }
}

/** With up to 700 kB that zstd cannot make smaller. Does nothing while the cluster is down. */
export async function finishSegment(cluster: Cluster): Promise<void> {
  const parts = Math.floor(Math.random() * 44_000)
  try {
    await cluster.server.query(
      `begin;
       insert into numbers select generate_series(1, 10);
       insert into noise
       select decode(string_agg(md5(random()::text), ''), 'hex')
       from generate_series(1, ${parts}) as part group by part / 94;
       commit;
       select pg_switch_wal()`,
    )
  } catch (error) {
    if (!cluster.isDown) throw error
    await sleep(100)
  }
}
