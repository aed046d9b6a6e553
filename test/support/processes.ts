import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A process's children, and theirs, by /proc/PID/stat (proc(5)). */
export function childrenOf(parent: number): number[] {
  const children = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    } catch {
      return false // it has ended meanwhile
    }
  })
  return children.map(Number).flatMap((pid) => [pid, ...childrenOf(pid)])
}

/** Those that work in a directory. */
export function processesIn(directory: string): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const isIn = /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === directory
      return isIn ? [Number(pid)] : []
    } catch {
      return [] // it has ended meanwhile
    }
  })
}

/** SIGKILL, if there is one and it has not ended. */
export function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** SIGSTOP; returns once all threads have stopped, which they do some moments after the signal. */
export function freeze(pid: number | undefined): void {
  if (pid === undefined) return
  process.kill(pid, 'SIGSTOP')
  const tasks = `/proc/${pid}/task`
  const hasStopped = (task: string) =>
    /\) [TtZX] [^)]*$/.test(readFileSync(`${tasks}/${task}/stat`, 'utf8'))
  const deadline = Date.now() + 10_000
  while (!readdirSync(tasks).every(hasStopped)) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not stop`)
  }
}
