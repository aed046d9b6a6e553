import type { Command } from 'commander'
import type { Archiver } from '../archive/identify.ts'
import { type Act, configOf } from './command.ts'
import { declareLostHost } from './lost-host.ts'

interface LocalOptions {
  readonly pgdata?: string
  readonly json?: true
}

export function declare(program: Command, act: Act): void {
  const local = program
    .command('local')
    .description("a data directory's local archive: files that no path took, on this host")
  local
    .command('list')
    .description('list what lies there; needs neither a path nor the scheduling database')
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option('--json', 'as JSON')
    .action(act(list))
  local
    .command('drain')
    .description('bring everything to a path now; pushes bring a few each')
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nThe exit status is 1 when files stay there. See docs/local-archive.md.',
    )
    .action(act(drain))
  declareLostHost(local, act)
}

async function list(options: LocalOptions, command: Command): Promise<void> {
  const { listLocalArchive } = await import('../archive/local-files.ts')
  const { prettySize, prettyTime, printRows } = await import('../print.ts')
  const files = await withArchiverOf(options, command, listLocalArchive)
  printRows(
    files,
    [
      { title: 'file', value: ({ walName }) => walName },
      { title: 'since', value: ({ storedTime }) => prettyTime(storedTime) },
      { title: 'stored', value: ({ storedBytes }) => prettySize(storedBytes), align: 'right' },
      { title: 'as', value: ({ fullPath }) => fullPath },
    ],
    { json: options.json, none: 'Nothing lies in a local archive.' },
  )
}

async function drain(options: LocalOptions, command: Command): Promise<number | undefined> {
  const { drainAll } = await import('../archive/drain.ts')
  const { adminExit } = await import('../exit-codes.ts')
  const { log } = await import('../log.ts')
  const { printJson, printLine } = await import('../print.ts')
  const { drained, stayed, stopped } = await withArchiverOf(options, command, drainAll)
  const because = ({ failure, message }: { failure: string; message: string }) => ({
    failure,
    message,
  })
  if (options.json) {
    printJson({
      drained,
      stayed: stayed.map(({ walName, error }) => ({ walName, ...because(error) })),
      stopped: stopped && because(stopped),
    })
  } else {
    const count = drained.length
    printLine(`${count} ${count === 1 ? 'file was' : 'files were'} brought to a path.`)
    for (const { error } of stayed) log.error(error)
    if (stopped !== null) log.error(stopped)
  }
  return stayed.length > 0 || stopped !== null ? adminExit.failed : undefined
}

/** As the owner of the data directory, also when root asks. */
async function withArchiverOf<Result>(
  { pgdata }: LocalOptions,
  command: Command,
  use: (archiver: Archiver) => Promise<Result>,
): Promise<Result> {
  const { withArchiver } = await import('../archive/identify.ts')
  const { openDataDirectory } = await import('../postgres/data-directory.ts')
  const { dropToOwner } = await import('../postgres/privileges.ts')
  const path = pgdata ?? process.env.PGDATA ?? '.'
  const config = await configOf(command)
  dropToOwner(await openDataDirectory(path))
  return await withArchiver(path, config, use)
}
