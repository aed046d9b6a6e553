import { hostname, userInfo } from 'node:os'
import type { Command } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import type { Schedule } from '../schedule/connect.ts'

/**
 * Wraps what a subcommand does: it gets what commander gives an action and may return an exit status
 * of its own; without one it is done.
 */
export type Act = <Arguments extends unknown[]>(
  action: (...given: Arguments) => Promise<number | undefined> | Promise<void>,
) => (...given: Arguments) => Promise<void>

/** What every file in this folder exports as `declare`: its arguments, and what runs. */
export type Declare = (program: Command, act: Act) => void

/** The configuration under the global flags, wherever on the command line they stand. */
export function configOf(command: Command): Promise<Config> {
  return loadConfig(command.optsWithGlobals())
}

/** Aborts when whoever started a command that runs in the foreground wants it to end. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort())
  // Whoever ends the launcher alone means this, too.
  const launcher = process.ppid
  setInterval(() => process.ppid === launcher || stop.abort(), 1000).unref()
  return stop.signal
}

/** Whoever runs the command, for what is kept with a decision of theirs. */
export function authorHere(): string {
  return `${userInfo().username}@${hostname()}`
}

/**
 * Opens the scheduling database as a person who steers or looks, not as a host.
 *
 * @param statementTimeout milliseconds after which the server ends a statement
 */
export async function asAdmin<Result>(
  command: Command,
  use: (schedule: Schedule, config: Config) => Promise<Result>,
  statementTimeout?: number,
): Promise<Result> {
  const config = await configOf(command)
  const { withScheduling } = await import('../resources.ts')
  const useIt = (schedule: Schedule) => use(schedule, config)
  return await withScheduling(config, useIt, 'admin', statementTimeout)
}
