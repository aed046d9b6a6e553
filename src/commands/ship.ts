import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Act, configOf, stopSignal } from './command.ts'
import { timeSpan } from './options.ts'

interface ShipOptions {
  readonly pgdata?: string
  readonly pguser?: string
  readonly interval: number
  readonly once?: true
}

export function declare(program: Command, act: Act): void {
  program
    .command('ship')
    .description('copy WAL to the path as the primary writes it; runs in the foreground')
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option(
      '--pguser <role>',
      "superuser, or member of pg_monitor, on the server (the operating system user's name)",
    )
    .addOption(
      new Option('--interval <time>', 'between two looks at the server')
        .argParser(interval)
        .default(100, '100ms'),
    )
    .option('--once', 'ship what there is now, and end: 0 when all is shipped, else 1')
    .addHelpText(
      'after',
      `
Run it on a registered host as the server's user, or as root: it goes on as the data directory's owner.
On a standby it waits until that is promoted. It ends with 1 when waiting cannot help: its timeline has
ended, another shipper ships this cluster, the host is no member. See docs/ship.md.`,
    )
    .action(act((options: ShipOptions, command: Command) => run(options, command)))
}

async function run(options: ShipOptions, command: Command): Promise<void> {
  const { ship } = await import('../shipping/ship.ts')
  const stop = stopSignal()
  const request = {
    pgdata: options.pgdata ?? process.env.PGDATA ?? '.',
    pguser: options.pguser,
    interval: options.interval,
    once: options.once === true,
  }
  await ship(request, await configOf(command), stop)
}

function interval(text: string): number {
  const milliseconds = timeSpan(text)
  if (milliseconds >= 10) return milliseconds
  throw new InvalidArgumentError('It takes 10ms at least.')
}
