import { watch } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, statusDirectory } from './archiver.ts'
import { type CpuTimes, cpuSince, cpuTimes } from './measure.ts'
import type { Server } from './servers.ts'

export interface Steady {
  /** From .ready to .done, of each segment, in milliseconds. */
  readonly latencies: number[]
  /** Milliseconds a segment, by group of processes. The server's own writing is among it. */
  readonly cpu: CpuTimes
}

/** Every second the server writes one more segment, of the same content; its first one is not counted. */
export async function steadyLoad(
  server: Server,
  contender: Contender,
  content: string,
  count: number,
): Promise<Steady> {
  await contender.clear()
  await server.configure({ archive_command: contender.command })
  const ready = new Map<string, number>()
  const latencies: number[] = []
  const watcher = watch(statusDirectory(server), (_event, file) => {
    const [segment = '', status] = file?.split('.') ?? []
    if (status === 'ready' && !ready.has(segment)) ready.set(segment, performance.now())
    const since = ready.get(segment)
    if (status === 'done' && since !== undefined) latencies.push(performance.now() - since)
  })
  const groups = { server: () => server.pid, ...contender.groups }
  await writeSegment(server, content)
  await sleep(3000)
  latencies.length = 0
  const before = cpuTimes(groups)
  const start = performance.now()
  for (let number = 0; number < count; number++) {
    await sleep(Math.max(start + number * 1000 - performance.now(), 0))
    await writeSegment(server, content)
  }
  while (latencies.length < count) await sleep(100)
  await sleep(Math.max(start + count * 1000 - performance.now(), 0))
  const used = cpuSince(before, cpuTimes(groups))
  watcher.close()
  await server.configure({ archive_command: '' })
  await contender.clear()
  return {
    latencies,
    cpu: Object.fromEntries(Object.entries(used).map(([name, time]) => [name, time / count])),
  }
}

/** Nearly a segment of another segment's bytes, and then the next segment. */
async function writeSegment(server: Server, content: string): Promise<void> {
  await server.query(
    `select pg_logical_emit_message(false, 'bench', pg_read_binary_file('pg_wal/${content}', 0, 16000000));
     select pg_switch_wal()`,
  )
}
