import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

interface JournalOptions {
  readonly pgdata?: string
}

export function declare(program: Command, act: Act): void {
  const journal = program
    .command('journal')
    .description("a data directory's records that the scheduling database has not taken yet")
  journal
    .command('flush')
    .description('deliver them now; the next push would too')
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .addHelpText('after', '\nHow many wait, and since when: pgarch status --host')
    .action(act(flush))
}

async function flush(options: JournalOptions, command: Command): Promise<number | undefined> {
  const { flushJournal, othersHint } = await import('../archive/record.ts')
  const { withArchiver } = await import('../archive/identify.ts')
  const { openDataDirectory } = await import('../postgres/data-directory.ts')
  const { dropToOwner } = await import('../postgres/privileges.ts')
  const pgdata = options.pgdata ?? process.env.PGDATA ?? '.'
  const config = await configOf(command)
  dropToOwner(await openDataDirectory(pgdata))
  const { delivered, ofOthers } = await withArchiver(pgdata, config, flushJournal)
  const { printLine } = await import('../print.ts')
  printLine(delivered === 1 ? '1 record was delivered.' : `${delivered} records were delivered.`)
  if (ofOthers === 0) return undefined
  const { adminExit } = await import('../exit-codes.ts')
  const { log } = await import('../log.ts')
  const were = ofOthers === 1 ? '1 record stays: it is' : `${ofOthers} records stay: they are`
  log.warning(`${were} of a cluster that this data directory no longer belongs to`, othersHint)
  return adminExit.failed
}
