import { readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'

/** CPU time that was used so far, by name: `machine`, and each group of processes. Milliseconds. */
export type CpuTimes = Readonly<Record<string, number>>

/** Names groups of processes by a first process each; undefined where it does not run now. */
export type Groups = Readonly<Record<string, () => number | undefined>>

/** USER_HZ, which Linux keeps at 100 for everything that it shows. */
const millisecondsPerTick = 10

/** A group is a process, its descendants, and those of them that have ended and were waited for. */
export function cpuTimes(groups: Groups): CpuTimes {
  const times: Record<string, number> = { machine: machineTime() }
  const processes = readProcesses()
  for (const [name, first] of Object.entries(groups)) {
    const pids = descendants(first(), processes)
    const ticks = pids.reduce((sum, pid) => sum + (processes.get(pid)?.ticks ?? 0), 0)
    times[name] = ticks * millisecondsPerTick
  }
  return times
}

export function cpuSince(before: CpuTimes, now: CpuTimes): CpuTimes {
  return Object.fromEntries(
    Object.entries(now).map(([name, time]) => [name, Math.max(time - (before[name] ?? 0), 0)]),
  )
}

/** proc(5), /proc/stat: all but idle, waiting for disks, and what the hypervisor took. */
function machineTime(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const [user = 0, nice = 0, system = 0, , , hard = 0, soft = 0] =
    line.match(/\d+/g)?.map(Number) ?? []
  return (user + nice + system + hard + soft) * millisecondsPerTick
}

interface Process {
  readonly parent: number
  readonly ticks: number
}

/** proc(5), /proc/PID/stat: the parent, and utime, stime, cutime and cstime. */
function readProcesses(): Map<number, Process> {
  const processes = new Map<number, Process>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8')
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number)
      const ticks = fields.slice(11, 15).reduce((sum, one) => sum + one, 0)
      processes.set(Number(entry), { parent: fields[1] ?? 0, ticks })
    } catch {
      // It has ended; whoever waited for it has its time.
    }
  }
  return processes
}

function descendants(first: number | undefined, processes: Map<number, Process>): number[] {
  if (first === undefined) return []
  const found = [first]
  for (const pid of found) {
    for (const [child, { parent }] of processes) if (parent === pid) found.push(child)
  }
  return found
}

/** The most memory that a process ever had resident, in MB; undefined when it has ended. */
export function peakMemory(pid: number | undefined): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024)
  } catch {
    return undefined
  }
}

/** What a process and its descendants have resident now, in MB, what they share counted for each. */
export function residentMemory(pid: number | undefined): number {
  const kilobytes = descendants(pid, readProcesses()).map((one) => {
    try {
      const status = readFileSync(`/proc/${one}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
    } catch {
      return 0 // it has ended
    }
  })
  return Math.round(kilobytes.reduce((sum, one) => sum + one, 0) / 1024)
}

/** NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

/** `12.3 (11.0..14.2)`: median, least and most. */
export function withSpread(values: readonly number[], digits = 1): string {
  if (values.length === 0) return '-'
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const show = (value: number) => value.toFixed(digits)
  return `${show(median(values))} (${show(least)}..${show(most)})`
}

/** What the figures of a run have to be read with. */
export function describeMachine(): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 1024 ** 3)
  const features = /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? ''
  const sha = features.includes('sha_ni') ? 'with' : 'without'
  const date = new Date().toISOString().slice(0, 16)
  return (
    `${date}, ${cpus().length} x ${cpu?.model}, ${sha} SHA extensions, ${memory} GB, ` +
    `Node.js ${process.version}, load ${loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`
  )
}
