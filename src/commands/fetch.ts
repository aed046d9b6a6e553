import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

interface FetchOptions {
  readonly cluster?: string
}

export function declare(program: Command, act: Act): void {
  program
    .command('fetch')
    .description('bring back one WAL file; for restore_command')
    .argument('<file>', "the file's name: PostgreSQL's %f")
    .argument('<path>', "where to place it: PostgreSQL's %p")
    .option('--cluster <name>', 'the cluster, where its system identifier does not tell which')
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
        }
        return await fetch(request, await configOf(command))
      }),
    )
}
