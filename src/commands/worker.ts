import type { Command } from 'commander'
import { type Act, configOf } from './command.ts'

interface WorkerOptions {
  readonly except?: string
  readonly prefetchAfter?: string
  readonly walSegmentSize?: string
}

/** Not for people: push and fetch start it. */
export function declare(program: Command, act: Act): void {
  program
    .command('worker', { hidden: true })
    .argument('<dir>', 'the data directory')
    .option('--except <file>', 'a WAL file that is being archived already')
    .option('--prefetch-after <file>', 'fetch ahead of a recovery that was given this segment')
    .option('--wal-segment-size <bytes>', 'the size of that segment')
    .action(
      act(async (dataDirectory: string, options: WorkerOptions, command: Command) => {
        const config = await configOf(command)
        if (options.prefetchAfter !== undefined) {
          const { runPrefetch } = await import('../worker/prefetch.ts')
          const walSegmentSize = Number(options.walSegmentSize)
          await runPrefetch({ dataDirectory, asked: options.prefetchAfter, walSegmentSize }, config)
          return
        }
        const { runWorker } = await import('../worker/run.ts')
        await runWorker({ dataDirectory, except: options.except }, config)
      }),
    )
}
