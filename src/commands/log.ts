import type { Command } from 'commander'
import { type Act, asAdmin } from './command.ts'
import { numberBetween, pastTime } from './options.ts'

interface LogOptions {
  readonly failed?: true
  readonly since?: Date
  readonly limit: number
  readonly json?: true
}

export function declare(program: Command, act: Act): void {
  program
    .command('log')
    .description('what was archived, and what failed; newest first')
    .argument('[cluster]', 'name, fingerprint or system identifier')
    .option('--failed', 'only tries that failed')
    .option('--since <time>', 'a time, or how long ago: 30min, 2h, 7d', pastTime)
    .option('--limit <number>', 'at most so many', numberBetween(1, 1_000_000), 100)
    .option('--json', 'as JSON')
    .action(act(run))
}

async function run(
  reference: string | undefined,
  options: LogOptions,
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { queryLog } = await import('../schedule/log.ts')
  const { prettySize, prettyTime, printRows, tone } = await import('../print.ts')
  const entries = await asAdmin(command, async (schedule) => {
    const one = reference === undefined ? undefined : await requireCluster(schedule, reference)
    return await queryLog(schedule, {
      fingerprint: one?.fingerprint ?? null,
      failedOnly: options.failed === true,
      since: options.since ?? null,
      limit: options.limit,
    })
  })
  printRows(
    entries,
    [
      { title: 'time', value: ({ time }) => prettyTime(time) },
      { title: 'cluster', value: ({ clusterName }) => clusterName },
      { title: 'file', value: ({ walName }) => walName },
      { title: 'path', value: ({ pathName }) => pathName },
      { title: 'stored', value: ({ storedBytes }) => prettySize(storedBytes), align: 'right' },
      {
        title: 'ms',
        value: ({ durationMilliseconds }) =>
          durationMilliseconds === null ? null : Math.round(durationMilliseconds),
        align: 'right',
      },
      {
        title: 'result',
        value: ({ stored, error }) => (stored ? tone.good('stored') : tone.bad(error ?? 'failed')),
      },
    ],
    { json: options.json, none: 'Nothing is logged.' },
  )
}
