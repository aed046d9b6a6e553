import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

/** Not for people: push starts it. */
export function declare(program: Command, act: Act): void {
  program
    .command('worker', { hidden: true })
    .argument('<dir>', 'the data directory')
    .option('--except <file>', 'a WAL file that is being archived already')
    .action(
      act(async (dataDirectory: string, options: { except?: string }, command: Command) => {
        const { runWorker } = await import('../worker/run.ts')
        await runWorker({ dataDirectory, except: options.except }, await configOf(command))
      }),
    )
}
