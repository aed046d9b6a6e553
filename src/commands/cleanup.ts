import type { Command } from 'commander'
import { PgarchError } from '../errors.ts'
import { type Act, configOf } from './command.ts'

interface CleanupOptions {
  readonly path?: string
  readonly pgdata?: string
  readonly yesSharedArchive?: true
  readonly dryRun?: true
}

export function declare(program: Command, act: Act): void {
  program
    .command('cleanup')
    .description(
      'remove what a standby no longer needs from its own archive; for archive_cleanup_command',
    )
    .argument(
      '<segment>',
      "the first one that stays: PostgreSQL's %r; or a .partial or .backup name",
    )
    .option('--path <name>', "the standby's own path (cleanup.path)")
    .option('--pgdata <dir>', 'the data directory (PGDATA; the working directory)')
    .option('-n, --dry-run', 'only list what would be removed')
    .option(
      '--yes-shared-archive',
      'the path may be on a server, or used by other clusters, and nobody else needs what goes',
    )
    .addHelpText(
      'after',
      '\nRemoves segments and partial ones, as pg_archivecleanup does, and no other file. See docs/cleanup.md.',
    )
    .action(act(run))
}

async function run(segment: string, options: CleanupOptions, command: Command): Promise<void> {
  const { parseCleanupLimit } = await import('../wal/cleanup-limit.ts')
  const keptFrom = parseCleanupLimit(segment)
  if (keptFrom === undefined) {
    throw new PgarchError('usage', `"${segment}" is not the name of a segment`, {
      hint: "archive_cleanup_command must give PostgreSQL's %r: 'pgarch cleanup %r'.",
    })
  }
  // The server does not know yet where it could restart from.
  if (keptFrom === 'all') return
  const { keepingNames } = await import('../config.ts')
  const { openStandbyHost, requireMembership } = await import('../restore/standby-host.ts')
  const { cleanUp } = await import('../restore/cleanup.ts')
  const config = await configOf(command)
  const host = await openStandbyHost(options.pgdata ?? process.env.PGDATA ?? '.', config)
  const request = {
    keptFrom,
    pathName: options.path,
    allowShared: options.yesSharedArchive === true,
    isDryRun: options.dryRun === true,
  }
  const member = requireMembership(host)
  const removed = await cleanUp(request, member, keepingNames(config, host.stateDirectory))
  if (!request.isDryRun) return
  const { printLines } = await import('../print.ts')
  if (removed.length > 0) printLines(removed)
}
