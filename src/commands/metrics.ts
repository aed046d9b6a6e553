import { type Command, Option } from 'commander'
import { adminExit } from '../exit-codes.ts'
import { log } from '../log.ts'
import type { Collected } from '../monitor/collected.ts'
import type { ListenAddress } from '../monitor/serve-metrics.ts'
import { within } from '../within.ts'
import { type Act, configOf, stopSignal } from './command.ts'
import { listenAddress, numberBetween } from './options.ts'
import { writeOutput } from './output-file.ts'

interface MetricsOptions {
  readonly host?: true
  readonly clusters: number
  readonly listen?: ListenAddress
  readonly output?: string
}

export function declare(program: Command, act: Act): void {
  program
    .command('metrics')
    .description('what Prometheus wants to know of the fleet, in its text format')
    .option('--host', 'of this host, by what it knows itself; needs no scheduling database')
    .addOption(
      new Option('--clusters <number>', 'series of their own for so many clusters at most')
        .argParser(numberBetween(0, 100_000))
        .default(100)
        .conflicts('host'),
    )
    .option('--output <file>', "replace this file: for node_exporter's textfile collector")
    .addOption(
      new Option('--listen <address:port>', 'serve it over HTTP, in the foreground')
        .argParser(listenAddress)
        .conflicts('output'),
    )
    .addHelpText(
      'after',
      `
A fleet of more clusters than --clusters has series for those that need attention, the worst first, and
sums for all. The exit status is 1 when not all could be read; what it prints says so, too.
See docs/prometheus.md.`,
    )
    .action(act(run))
}

async function run(options: MetricsOptions, command: Command): Promise<number | undefined> {
  const collect = await collector(options, command)
  if (options.listen === undefined) return await tellOnce(collect, options.output)
  await serve(collect, options.listen)
}

type Collect = () => Promise<Collected>

async function collector(options: MetricsOptions, command: Command): Promise<Collect> {
  const config = await configOf(command)
  if (options.host) {
    const { collectHost } = await import('./metrics-host.ts')
    return () => collectHost(config)
  }
  const { collectFleet } = await import('../monitor/fleet-metrics.ts')
  const { withScheduling } = await import('../resources.ts')
  const patient = { ...config, scheduleTimeout }
  return () => collectFleet((use) => withScheduling(patient, use), options.clusters)
}

/**
 * For connecting, and for each query; milliseconds. Sums over a fleet take longer than what a push asks,
 * and Prometheus waits for ten seconds unless it is told otherwise.
 */
const scheduleTimeout = 8000

/**
 * For all of a reading, in milliseconds: what hangs, in a dead NFS mount say, must not pile up under a timer
 * that starts us, nor keep a scraper waiting that has more time than that.
 */
const patience = 60_000

async function tellOnce(collect: Collect, output: string | undefined): Promise<number | undefined> {
  const { exposition } = await import('../monitor/exposition.ts')
  const { families, troubles } = await within(collect(), patience)
  const text = exposition(families)
  if (output === undefined) process.stdout.write(text)
  else await writeOutput(output, text)
  for (const trouble of troubles) log.error(trouble)
  return troubles.length === 0 ? undefined : adminExit.failed
}

async function serve(collect: Collect, address: ListenAddress): Promise<void> {
  const { exposition } = await import('../monitor/exposition.ts')
  const { serveMetrics } = await import('../monitor/serve-metrics.ts')
  const stop = stopSignal()
  let told = ''
  const read = async () => {
    const { families, troubles } = await collect()
    const wrong = troubles.map(({ message }) => message).join('; ')
    // Once each, and not at every scrape.
    if (wrong !== told) {
      if (wrong === '') log.info('all can be read again')
      else for (const trouble of troubles) log.error(trouble)
    }
    told = wrong
    return exposition(families)
  }
  // A configuration that can never work ends it here.
  await within(read(), patience)
  await serveMetrics(address, read, { patience, signal: stop })
}
