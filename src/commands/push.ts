import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

export function declare(program: Command, act: Act): void {
  program
    .command('push')
    .description('archive one WAL file; for archive_command')
    .argument('<path>', "the file, relative to the data directory: PostgreSQL's %p")
    .argument('<file>', "the file's name: PostgreSQL's %f")
    .addHelpText(
      'after',
      "\nRuns in the data directory, as the server's user. See docs/exit-codes.md.",
    )
    .action(
      act(async (path: string, file: string, _options: object, command: Command) => {
        const { push } = await import('../archive/push.ts')
        await push(
          { dataDirectory: process.cwd(), walPath: path, walName: file },
          await configOf(command),
        )
      }),
    )
}
