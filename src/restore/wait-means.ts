import { dirname } from 'node:path'
import { type Bell, newBell } from '../bell.ts'
import type { Config } from '../config.ts'
import { isRunning } from '../postgres/life.ts'
import type { Target } from './target.ts'
import { openTriggerFile } from './trigger-file.ts'
import {
  findWaitingServer,
  openWaitNotes,
  type WaitingServer,
  type WaitNotes,
} from './wait-notes.ts'
import type { WaitOptions } from './wait-options.ts'
import type { Trigger } from './wait-policy.ts'
import { type WaitingSources, waitingSources } from './wait-sources.ts'

/** What a call that may wait has open. */
export interface WaitMeans {
  readonly options: WaitOptions
  readonly config: Config
  /** With kept connections. */
  readonly target: Target
  readonly sources: WaitingSources
  /** Undefined for a call by hand. */
  readonly server: WaitingServer | undefined
  readonly notes: WaitNotes
  /** By file, or by a signal to the launcher. */
  trigger(): Promise<Trigger>
  /** After `fast`. */
  useUpTrigger(): Promise<void>
  /** Files were archived. */
  readonly archiveBell: Bell
  /** The trigger may be another. */
  readonly triggerBell: Bell
  /** Whether nobody is left who would read an answer: the launcher, or the server, was killed. */
  isOrphaned(): boolean
  close(): void
}

export async function openWaitMeans(
  target: Target,
  options: WaitOptions,
  config: Config,
): Promise<WaitMeans> {
  const archiveBell = newBell()
  const triggerBell = newBell()
  const file = openTriggerFile(options.triggerFile, triggerBell.ring)
  const sources = waitingSources(config, archiveBell.ring)
  const server = await findWaitingServer(dirname(dirname(target.walPath)))
  const launcher = Number(process.env.PGARCH_LAUNCHER ?? process.ppid)
  const postmaster = server?.life.postmasterPid
  const isServed = postmaster !== undefined && isRunning(postmaster)
  return {
    options,
    config,
    target: { ...target, sources },
    sources,
    server,
    notes: openWaitNotes(server, config),
    trigger: async () => (options.isFast ? 'fast' : await file.read()),
    useUpTrigger: file.useUp,
    archiveBell,
    triggerBell,
    isOrphaned: () => process.ppid !== launcher || (isServed && !isRunning(postmaster)),
    close() {
      file.close()
      // Not waited for: recovery is, and the process's end closes them as well.
      sources.close().catch(() => {})
    },
  }
}
