import type { Latency, Together } from './fleet-calls.ts'
import type { Disk } from './fleet-sums.ts'
import { type CpuTimes, withSpread } from './measure.ts'

/** What was measured with so many files, in words, by what it is. */
export interface Figures {
  readonly size: number
  readonly figures: ReadonlyMap<string, string>
}

export function diskInWords({ table, indexes }: Disk, size: number): string {
  const gigabytes = (bytes: number) => (bytes / 1024 ** 3).toFixed(2)
  const perFile = Math.round((table + indexes) / size)
  return `${gigabytes(table)} GB, indexes ${gigabytes(indexes)} GB, ${perFile} bytes a file`
}

export function latencyInWords({ median, most }: Latency): string {
  return `${median.toFixed(2)} ms, 1 of 100 over ${most.toFixed(2)} ms`
}

export function togetherInWords({ filesPerSecond, turn, serverCpu, others }: Together): string {
  return (
    `${filesPerSecond.toFixed(0)} files/s, ${turn.median.toFixed(0)} ms a turn, 1 of 100 over ` +
    `${turn.most.toFixed(0)} ms; CPU of the server ${serverCpu.toFixed(2)} ms a file; ` +
    `others used ${(others * 100).toFixed(0)} % of the machine`
  )
}

/** `used` is of all runs together; the command's own CPU is in this process's. */
export function runsInWords(times: readonly number[], used: CpuTimes): string {
  const cpu = (group: string) => Math.round((used[group] ?? 0) / times.length)
  return `${withSpread(times, 0)} ms; CPU of the command ${cpu('bench')} ms, of the server ${cpu('server')} ms`
}

/** One thing after the other, each with its figure at each size. */
export function printFigures(all: readonly Figures[]): void {
  for (const name of all[0]?.figures.keys() ?? []) {
    console.log(`\n${name}`)
    for (const { size, figures } of all) {
      console.log(`  ${String(size).padStart(10)} files: ${figures.get(name)}`)
    }
  }
}
