import { type Command, Option } from 'commander'
import { type Act, configOf } from './command.ts'
import { timeSpan } from './options.ts'

interface FailoverOptions {
  readonly fast?: true
  readonly dryRun?: true
  readonly cluster?: string
  readonly pgdata?: string
  readonly pguser?: string
  readonly timeout: number
}

export function declare(program: Command, act: Act): void {
  program
    .command('failover')
    .description('make a primary of the server in recovery on this host, and wait until it is one')
    .option('--fast', 'end recovery now, and give up what is archived and not yet replayed')
    .option('-n, --dry-run', 'only say what is archived, replayed and missing')
    .addOption(
      new Option('--timeout <time>', 'how long to wait for it')
        .argParser(timeSpan)
        .default(60_000, '1min'),
    )
    .option('--cluster <name>', 'name or fingerprint, where the system identifier does not tell')
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option('--pguser <role>', "superuser on the server (the operating system user's name)")
    .addHelpText(
      'after',
      `
With recovery.signal it makes the trigger file (fetch.trigger_file) that a waiting restore_command looks
for; with standby.signal it calls pg_promote. Run it as root or as the server's user. See docs/failover.md.`,
    )
    .action(act(run))
}

async function run(options: FailoverOptions, command: Command): Promise<void> {
  const { failover } = await import('../restore/failover.ts')
  const { printLine } = await import('../print.ts')
  const request = {
    pgdata: options.pgdata ?? process.env.PGDATA ?? '.',
    kind: options.fast ? ('fast' as const) : ('smart' as const),
    isDryRun: options.dryRun === true,
    clusterName: options.cluster ?? null,
    pguser: options.pguser,
    timeout: options.timeout,
  }
  await failover(request, await configOf(command), (line) => printLine(line))
}
