import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { PgarchError } from '../errors.ts'
import { adminExit } from '../exit-codes.ts'
import { type Act, asAdmin, stopSignal } from './command.ts'
import { interval } from './options.ts'
import type { Told } from './status-fleet.ts'
import { hostLines, hostNeedsAttention, readHost } from './status-host.ts'

export function declare(program: Command, act: Act): void {
  program
    .command('status')
    .description('how archiving goes, and what needs attention; of one cluster, or of all')
    .argument('[cluster]', 'name, fingerprint or system identifier')
    .option('--host', 'only what this host knows by itself; needs no scheduling database')
    .option('--json', 'as JSON')
    .option('--watch [interval]', 'again and again, until it is interrupted (every 2s)', interval)
    .addHelpText('after', '\nThe exit status is 1 when something needs attention.')
    .action(act(status))
}

interface StatusOptions {
  readonly host?: true
  readonly json?: true
  /** Milliseconds. */
  readonly watch?: number | true
}

async function status(
  reference: string | undefined,
  options: StatusOptions,
  command: Command,
): Promise<number | undefined> {
  if (options.watch !== undefined) return await watch(reference, options, command)
  if (options.json) return await statusAsJson(reference, options, command)
  const { printLines } = await import('../print.ts')
  // What this host knows comes first: the scheduling database may not answer.
  const host = await readHost(command)
  if (options.host || host.length > 0) printLines(await hostLines(host))
  if (options.host) return host.some(hostNeedsAttention) ? adminExit.failed : undefined
  const { lines, isWell } = await centralStatus(reference, command)
  printLines(lines)
  return isWell && !host.some(hostNeedsAttention) ? undefined : adminExit.failed
}

async function statusAsJson(
  reference: string | undefined,
  options: StatusOptions,
  command: Command,
): Promise<number | undefined> {
  const { printJson } = await import('../print.ts')
  if (options.host) {
    const host = await readHost(command)
    printJson(host)
    return host.some(hostNeedsAttention) ? adminExit.failed : undefined
  }
  const { areWell, readClusters, readFleet } = await import('./status-fleet.ts')
  const { clusters, isWell } = await asAdmin(command, async (schedule) => {
    if (reference === undefined) return await readFleet(schedule)
    const clusters = await readClusters(schedule, reference)
    return { clusters, isWell: areWell(clusters) }
  })
  printJson(clusters)
  return isWell ? undefined : adminExit.failed
}

/** Ends by a signal alone; a scheduling database that does not answer is asked again. */
async function watch(
  reference: string | undefined,
  { host: hostOnly, json, watch: given }: StatusOptions,
  command: Command,
): Promise<undefined> {
  if (json) throw new PgarchError('usage', '--json and --watch exclude each other')
  const { prettyTime, printScreen, tone } = await import('../print.ts')
  const stop = stopSignal()
  while (!stop.aborted) {
    const host = await readHost(command)
    const own = hostOnly || host.length > 0 ? await hostLines(host) : []
    const central = hostOnly
      ? []
      : await centralStatus(reference, command).then(
          ({ lines }) => lines,
          (error: unknown) => {
            if (error instanceof PgarchError && error.failure !== 'usage') {
              return [tone.bad(error.message)]
            }
            throw error
          },
        )
    printScreen([prettyTime(new Date()), '', ...own, ...central])
    const pause = typeof given === 'number' ? given : 2000
    await sleep(pause, undefined, { signal: stop }).catch(() => {})
  }
}

async function centralStatus(reference: string | undefined, command: Command): Promise<Told> {
  const { tellCluster, tellFleet } = await import('./status-fleet.ts')
  return await asAdmin(command, (schedule) =>
    reference === undefined ? tellFleet(schedule) : tellCluster(schedule, reference),
  )
}
