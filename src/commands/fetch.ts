import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

interface FetchOptions {
  readonly cluster?: string
  readonly without: readonly string[]
}

/** As bin/pgarch, which knows no options, looks at the line. */
function isPlain(command: Command): boolean {
  const { cluster, without, config, schedule } = command.optsWithGlobals()
  return [cluster, config, schedule].every((one) => one === undefined) && without.length === 0
}

export function declare(program: Command, act: Act): void {
  program
    .command('fetch')
    .description('bring back one WAL file; for restore_command')
    .argument('<file>', "the file's name: PostgreSQL's %f")
    .argument('<path>', "where to place it: PostgreSQL's %p")
    .option('--cluster <name>', 'name or fingerprint, where the system identifier does not tell')
    .option(
      '--without <path>',
      'do not ask this path, and take what only it holds for absent; repeatable',
      (path: string, before: readonly string[]) => [...before, path],
      [],
    )
    .addHelpText(
      'after',
      "\nRuns in the data directory, as the server's user. See docs/exit-codes.md.",
    )
    .action(
      act(async (file: string, path: string, options: FetchOptions, command: Command) => {
        const { fetch } = await import('../restore/fetch.ts')
        const request = {
          workingDirectory: process.cwd(),
          walName: file,
          walPath: path,
          clusterName: options.cluster ?? null,
          without: options.without,
          isPlain: isPlain(command),
        }
        return await fetch(request, await configOf(command))
      }),
    )
}
