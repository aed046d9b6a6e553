import type { Running, Shell } from './commands.ts'
import type { Progress } from './progress.ts'
import type { Workplace } from './workplace.ts'

/** What the steps share. */
export interface Scene {
  readonly workplace: Workplace
  readonly shell: Shell
  readonly progress: Progress
  /** All that was started, in order, for whoever cleans up. */
  readonly running: Running[]
}

/** An entry of `pgarch log --json`. */
export interface LogEntry {
  readonly time: string
  readonly walName: string
  readonly pathName: string
  readonly stored: boolean
}

/** One file each time it was tried on a path, the oldest first. */
export async function readLog({ shell }: Scene): Promise<LogEntry[]> {
  const output = await shell.look('pgarch log shop --json --limit 100000')
  return (JSON.parse(output) as LogEntry[]).reverse()
}

export function isSegment(walName: string): boolean {
  return /^[0-9A-F]{24}$/.test(walName)
}
