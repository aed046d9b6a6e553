import { Command, CommanderError } from 'commander'
import type { Act } from './commands/command.ts'
import { describeError, PgarchError } from './errors.ts'
import { exitsOf } from './exit-codes.ts'
import { log } from './log.ts'
import { watchOutput } from './output.ts'
import { version } from './version.ts'

/** Each subcommand is loaded when it is the one that runs: PostgreSQL pays for it on every segment. */
const commands = {
  init: () => import('./commands/init.ts'),
  register: () => import('./commands/register.ts'),
  path: () => import('./commands/path.ts'),
  route: () => import('./commands/route.ts'),
  cluster: () => import('./commands/cluster.ts'),
  conflict: () => import('./commands/conflict.ts'),
  push: () => import('./commands/push.ts'),
  fetch: () => import('./commands/fetch.ts'),
  cleanup: () => import('./commands/cleanup.ts'),
  failover: () => import('./commands/failover.ts'),
  schedule: () => import('./commands/schedule.ts'),
  status: () => import('./commands/status.ts'),
  check: () => import('./commands/check.ts'),
  report: () => import('./commands/report.ts'),
  metrics: () => import('./commands/metrics.ts'),
  journal: () => import('./commands/journal.ts'),
  local: () => import('./commands/local.ts'),
  dns: () => import('./commands/dns.ts'),
  ship: () => import('./commands/ship.ts'),
  worker: () => import('./commands/worker.ts'),
  log: () => import('./commands/log.ts'),
}

/** Runs one command line and resolves to the process's exit status; the only catch in pgarch. */
async function main(words: readonly string[]): Promise<number> {
  const wanted = subcommand(words)
  const exits = exitsOf(wanted)
  let status = exits.idle
  const act: Act =
    (action) =>
    async (...given) => {
      status = (await action(...given)) ?? exits.done
    }
  let isHelpWanted = false
  try {
    const program = declareProgram()
    // push and fetch print nothing, and are not to wait for it.
    const isPrinting = wanted !== 'push' && wanted !== 'fetch'
    const written = isPrinting ? watchOutput() : undefined
    program.on('beforeAllHelp', ({ error }: { error: boolean }) => {
      isHelpWanted = !error && isNoPush(words)
    })
    const needed = wanted === undefined ? Object.values(commands) : [commands[wanted]]
    for (const load of needed) (await load()).declare(program, act)
    await program.parseAsync(words, { from: 'user' })
    await written?.()
    return status
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.code === 'commander.help' && isHelpWanted) return status
      if (error.exitCode === 0) return words.join(' ') === `${wanted} --help` ? exits.done : status
      if (wanted === 'check') await tellUnknown(error)
      return exits.usage
    }
    log.error(error)
    if (wanted === 'check') await tellUnknown(error)
    return error instanceof PgarchError && error.failure === 'usage' ? exits.usage : exits.failed
  }
}

/** On standard output, as monitoring shows nothing else. */
async function tellUnknown(error: unknown): Promise<void> {
  const { pluginLine } = await import('./monitor/plugin.ts')
  process.stdout.write(`${pluginLine('unknown', describeError(error).replace(/^error: /, ''))}\n`)
}

function declareProgram(): Command {
  return new Command('pgarch')
    .description('Archives and restores PostgreSQL WAL for a whole fleet.')
    .version(version)
    .option('--config <file>', 'configuration file (PGARCH_CONFIG; /etc/pgarch/pgarch.toml)')
    .option('--schedule <url>', "the scheduling database's URL (PGARCH_SCHEDULE_URL)")
    .showHelpAfterError('HINT:  Run it with --help.')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'pgarch: ERROR:  ')),
    })
    .exitOverride()
}

/** `help push` is for people; with %p and %f behind it, PostgreSQL would take it for an archived file. */
function isNoPush(words: readonly string[]): boolean {
  return words.length <= 2 || !words.some((word) => word === 'push' || word === 'fetch')
}

/** The first word that is neither a global option nor its value, if it names a subcommand. */
function subcommand(words: readonly string[]): keyof typeof commands | undefined {
  const word = words.find(
    (word, index) =>
      !word.startsWith('-') && !['--config', '--schedule'].includes(words[index - 1] ?? ''),
  )
  return word !== undefined && Object.hasOwn(commands, word)
    ? (word as keyof typeof commands)
    : undefined
}

/**
 * Ends the process. process.exit waits for the threads that carry out system calls, and one that hangs
 * in a dead NFS mount never comes back; what takes the process's place does not wait for them.
 */
function end(status: number): never {
  const hangs = process.getActiveResourcesInfo().some((one) => /^(FS|File|GetAddr)/.test(one))
  if (hangs) process.execve?.('/bin/sh', ['sh', '-c', `exit ${status}`], {})
  process.exit(status)
}

main(process.argv.slice(2)).then(end)
