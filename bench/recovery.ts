import { type CpuTimes, cpuSince, cpuTimes } from './measure.ts'
import { type LogLine, type Restorer, startRestored } from './restored.ts'

export interface Recovered {
  /** From the server's start until it takes writes. */
  readonly seconds: number
  /** From the first restored one to the last. */
  readonly segmentsPerSecond: number
  /** Milliseconds a segment, by group of processes, until the last one is replayed. */
  readonly cpu: CpuTimes
}

/** How long recovery of a backup takes that has all these segments before it. */
export async function recover(
  folder: string,
  backup: string,
  restorer: Restorer,
  segments: readonly string[],
): Promise<Recovered> {
  const restored = await startRestored(folder, backup, restorer, 'recovery')
  const before = cpuTimes(restored.groups)
  try {
    await restored.until('redo done')
    const used = cpuSince(before, cpuTimes(restored.groups))
    await restored.until('ready to accept connections')
    const log = restored.log()
    const fetched = log.filter(({ text }) => /restored log file "[^.]*" from archive/.test(text))
    for (const segment of segments) {
      if (!fetched.some(({ text }) => text.includes(segment))) {
        throw new Error(`${restorer.name}: recovery ended without ${segment}`)
      }
    }
    // The last one is asked for again at the end of recovery.
    const last = timeOf(log, `"${segments.at(-1)}"`)
    return {
      seconds: (timeOf(log, 'ready to accept connections') - timeOf(log, 'starting Post')) / 1000,
      segmentsPerSecond: (segments.length - 1) / ((last - (fetched[0]?.time ?? 0)) / 1000),
      cpu: Object.fromEntries(
        Object.entries(used).map(([name, time]) => [name, time / segments.length]),
      ),
    }
  } finally {
    await restored.end()
  }
}

/** Of the first line that has it. */
function timeOf(log: readonly LogLine[], text: string): number {
  return log.find((line) => line.text.includes(text))?.time ?? Number.NaN
}
