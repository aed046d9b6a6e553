import { setTimeout as sleep } from 'node:timers/promises'
import { type CpuTimes, cpuSince, cpuTimes } from './measure.ts'
import { type Restorer, startRestored } from './restored.ts'

export interface Polled {
  /** Milliseconds a minute, by group of processes. */
  readonly cpu: CpuTimes
}

/** What a standby costs that has all of the archive, and asks it for more every five seconds. */
export async function poll(
  folder: string,
  backup: string,
  restorer: Restorer,
  segments: readonly string[],
  seconds: number,
): Promise<Polled> {
  const standby = await startRestored(folder, backup, restorer, 'standby')
  try {
    await standby.until(`"${segments.at(-1)}"`)
    await sleep(3000)
    const before = cpuTimes(standby.groups)
    await sleep(seconds * 1000)
    const used = cpuSince(before, cpuTimes(standby.groups))
    return {
      cpu: Object.fromEntries(
        Object.entries(used).map(([name, time]) => [name, (time / seconds) * 60]),
      ),
    }
  } finally {
    await standby.end()
  }
}
