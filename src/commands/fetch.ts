import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { WaitOptions } from '../restore/wait-options.ts'
import { type Act, configOf } from './command.ts'
import { numberBetween, timeSpan } from './options.ts'

interface FetchOptions {
  readonly cluster?: string
  readonly without?: readonly string[]
  readonly includeShipped?: true
  readonly wait?: true
  readonly triggerFile?: string
  readonly sleep: number
  readonly maxWait: number
  readonly restoreDelay: number
  readonly keep: number
  readonly debug?: true
  readonly fast?: true
}

/** `fetch %f %p` and nothing else: bin/pgarch, which knows no options, answers that from what was prefetched. */
function isPlain(): boolean {
  return process.argv.slice(2).length === 3
}

function waitOptions(options: FetchOptions, config: Config): WaitOptions | undefined {
  const { wait, triggerFile, sleep, maxWait, restoreDelay, debug, fast } = options
  const needsIt = triggerFile !== undefined || maxWait > 0 || restoreDelay > 0
  if (wait === undefined && needsIt) {
    throw new PgarchError('usage', 'options for waiting are given without --wait')
  }
  if (maxWait > 0 && restoreDelay > 0) {
    throw new PgarchError('usage', '--max-wait and --restore-delay exclude each other', {
      hint: 'What is held back by the delay would count as waited for in vain.',
    })
  }
  if (wait === undefined) return undefined
  return {
    triggerFile: triggerFile === undefined ? config.triggerFile : resolve(triggerFile),
    sleep: sleep * 1000,
    maxWait: maxWait * 1000,
    restoreDelay,
    debug: debug === true,
    isFast: fast === true,
  }
}

export function declare(program: Command, act: Act): void {
  program
    .command('fetch')
    .description('bring back one WAL file; for restore_command')
    .argument('<file>', "the file's name: PostgreSQL's %f")
    .argument('<path>', "where to place it: PostgreSQL's %p")
    .argument('[restart]', "PostgreSQL's %r: what comes before it goes from cleanup.path")
    .option('--cluster <name>', 'name or fingerprint, where the system identifier does not tell')
    .option(
      '--without <path>',
      'do not ask this path, and take what only it holds for absent; repeatable',
      (path: string, before: readonly string[] = []) => [...before, path],
    )
    .option(
      '--include-shipped',
      'an absent segment: place what was shipped of it, zeros behind; for the end of WAL alone',
    )
    .option('--wait', 'with recovery.signal: wait until a segment is archived')
    .option('-t, --trigger-file <file>', 'its presence ends the waiting (fetch.trigger_file)')
    .option(
      '-s, --sleep <seconds>',
      'between two looks when nothing wakes it',
      numberBetween(1, 60),
      5,
    )
    .option(
      '-w, --max-wait <seconds>',
      'end the waiting after so long; 0: never',
      numberBetween(0, 2_000_000),
      0,
    )
    .option(
      '--restore-delay <time>',
      'give segments only so long after they were archived',
      timeSpan,
      0,
    )
    .option(
      '-k, --keep <segments>',
      'without %r: so many before the file stay in cleanup.path; 0: all',
      numberBetween(0, 2 ** 31),
      0,
    )
    .option('-d, --debug', 'tell what is waited for')
    .addOption(new Option('--fast', 'of bin/pgarch, after a signal').hideHelp())
    // pg_standby's, which mean nothing here: copying, linking, and how often to try what failed.
    .addOption(new Option('-c').hideHelp())
    .addOption(new Option('-l').hideHelp())
    .addOption(new Option('-r, --retries <number>').hideHelp())
    .addHelpText(
      'after',
      "\nRuns in the data directory, as the server's user. See docs/exit-codes.md, and for --wait docs/standby.md.",
    )
    .action(
      act(
        async (
          file: string,
          path: string,
          restart: string | undefined,
          options: FetchOptions,
          command: Command,
        ) => {
          const config = await configOf(command)
          const { fetch } = await import('../restore/fetch.ts')
          const request = {
            workingDirectory: process.cwd(),
            walName: file,
            walPath: path,
            clusterName: options.cluster ?? null,
            without: options.without ?? [],
            includeShipped: options.includeShipped === true,
            isPlain: isPlain(),
            waiting: waitOptions(options, config),
            cleanup: { restart, keep: options.keep },
          }
          return await fetch(request, config)
        },
      ),
    )
}
