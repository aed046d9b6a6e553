import { createHash, randomUUID } from 'node:crypto'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { deliver, fetchRoute, locate } from '../src/schedule/agent.ts'
import { type Schedule, withSchedule } from '../src/schedule/connect.ts'
import type { Entry, Membership } from '../src/schedule/types.ts'
import { credential } from './fleet-rows.ts'
import { cpuSince, cpuTimes, median } from './measure.ts'
import type { Server } from './servers.ts'

export interface Cluster {
  readonly fingerprint: string
  readonly memberId: string
  readonly pathId: number
}

/** Milliseconds; `most` is what 1 of 100 takes longer than. */
export interface Latency {
  readonly median: number
  readonly most: number
}

export interface Together {
  readonly filesPerSecond: number
  readonly turn: Latency
  /** CPU milliseconds a file, of the server's processes. */
  readonly serverCpu: number
  /** 0 to 1, of all processors: what neither the server nor this process used. */
  readonly others: number
}

/** As a host logs in, for as long as `use` takes. */
function asAgent<Result>(server: Server, use: (agent: Schedule) => Promise<Result>) {
  const url = server.url('pgarch', 'pgarch_agent')
  return withSchedule({ url, timeoutMilliseconds: 60_000 }, use)
}

/** A host asks for its route, one after another. */
export function timeRoutes(server: Server, clusters: readonly Cluster[], count: number) {
  return timed(server, count, async (agent) => {
    await fetchRoute(agent, membershipOf(pick(clusters)), [])
  })
}

/** A host that restores asks for any file of its cluster, however old. */
export function timeLocates(
  server: Server,
  clusters: readonly Cluster[],
  filesPerCluster: number,
  count: number,
) {
  return timed(server, count, async (agent) => {
    const { fingerprint } = pick(clusters)
    const number = Math.floor(Math.random() * filesPerCluster)
    const reference = { systemIdentifier: null, clusterName: null, fingerprint }
    const { file, paths } = await locate(agent, reference, segmentOf(1, number))
    if (file === null || !paths.some(({ hasCopy }) => hasCopy)) throw new Error('it is not there')
  })
}

/** A host records what it has stored. */
export function timeRecords(
  server: Server,
  clusters: readonly Cluster[],
  batch: number,
  count: number,
) {
  return timed(server, count, async (agent) => {
    const cluster = pick(clusters)
    await deliver(agent, membershipOf(cluster), entriesOf(cluster, batch), 'at once')
  })
}

/** What a host does over and over; names are as they are printed. */
export const turns = {
  'pushes, connections kept': 1,
  'pushes, a connection each': 1,
  'pushes, a connection each to PgBouncer': 1,
  'journals of 100 files': 100,
} as const

/**
 * As many hosts at once, each of a cluster of its own. A push asks for the route and claims its file, and
 * records it; a worker keeps its connection, a push without one makes its own.
 */
export async function timeTogether(
  server: Server,
  clusters: readonly Cluster[],
  turn: keyof typeof turns,
  seconds: number,
): Promise<Together> {
  const files = turns[turn]
  const takeTurn = async (agent: Schedule, cluster: Cluster) => {
    const membership = membershipOf(cluster)
    const entries = entriesOf(cluster, files)
    if (files === 1) {
      const claims = entries.map(({ claim }) => claim)
      await fetchRoute(agent, membership, claims)
    }
    await deliver(agent, membership, entries, files === 1 ? 'at once' : 'later')
  }
  const times: number[] = []
  let isOver = false
  const timedTurn = async (agent: Schedule | undefined, cluster: Cluster) => {
    const start = performance.now()
    if (agent === undefined) await asAgent(server, (own) => takeTurn(own, cluster))
    else await takeTurn(agent, cluster)
    times.push(performance.now() - start)
  }
  const takeTurns = async (agent: Schedule | undefined, cluster: Cluster) => {
    while (!isOver) await timedTurn(agent, cluster)
  }

  const ready: Promise<void>[] = []
  let begin = () => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const agents = clusters.map((cluster) => {
    if (turn.startsWith('pushes, a connection each')) {
      return begun.then(() => takeTurns(undefined, cluster))
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    ready.push(promise)
    return asAgent(server, async (agent) => {
      // A connection's first calls make its plans.
      for (let call = 0; call < callsUntilPlanned; call++) await takeTurn(agent, cluster)
      resolve()
      await begun
      await takeTurns(agent, cluster)
    })
  })
  await Promise.all(ready)
  const groups = { server: () => server.pid, bench: () => process.pid }
  const before = cpuTimes(groups)
  const start = performance.now()
  begin()
  await sleep(seconds * 1000)
  const elapsed = performance.now() - start
  const { machine = 0, server: served = 0, bench = 0 } = cpuSince(before, cpuTimes(groups))
  const done = [...times]
  isOver = true
  await Promise.all(agents)
  return {
    filesPerSecond: ((done.length * files) / elapsed) * 1000,
    turn: latencyOf(done),
    serverCpu: served / (done.length * files),
    others: Math.max(machine - served - bench, 0) / elapsed / cpus().length,
  }
}

/** PL/pgSQL keeps a plan from the sixth call on. */
const callsUntilPlanned = 6

async function timed(
  server: Server,
  count: number,
  call: (agent: Schedule) => Promise<void>,
): Promise<Latency> {
  return await asAgent(server, async (agent) => {
    const times: number[] = []
    for (let number = -callsUntilPlanned; number < count; number++) {
      const start = performance.now()
      await call(agent)
      if (number >= 0) times.push(performance.now() - start)
    }
    return latencyOf(times)
  })
}

function latencyOf(times: readonly number[]): Latency {
  const sorted = times.toSorted((one, other) => one - other)
  return {
    median: median(sorted),
    most: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
  }
}

/** Names that no other call, and no file that was there before, has. */
let recorded = 0

function entriesOf({ pathId }: Cluster, batch: number): Entry[] {
  return Array.from({ length: batch }, () => {
    const walName = segmentOf(2, ++recorded)
    const walSize = 16_777_216
    const sha256 = createHash('sha256').update(walName).digest('hex')
    return {
      claim: { walName, sha256, walSize, history: null },
      events: [
        {
          eventId: randomUUID(),
          walName,
          walSize,
          pathId,
          status: 'stored',
          storedBytes: 5_000_000,
          durationMilliseconds: 100,
          error: null,
          time: new Date(),
          fullPath: null,
        },
      ],
    }
  })
}

function segmentOf(timeline: number, number: number): string {
  const parts = [timeline, Math.floor(number / 256), number % 256]
  return parts.map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('')
}

function membershipOf({ memberId }: Cluster): Membership {
  return { memberId, credential }
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item
}
