import { type Command, Option } from 'commander'
import type { RebuildReporter } from '../archive/rebuild.ts'
import { type Act, asAdmin } from './command.ts'

interface RebuildOptions {
  readonly path?: readonly string[]
  readonly dryRun?: true
}

export function declare(program: Command, act: Act): void {
  const schedule = program
    .command('schedule')
    .description(
      'the scheduling database itself: keep a copy of what it was told, and make it again',
    )
  schedule
    .command('dump')
    .description(
      'write clusters, members, paths and routes to standard output, to be kept elsewhere',
    )
    .addOption(new Option('--format <format>', 'of the dump').choices(['json']).default('json'))
    .action(act(dump))
  schedule
    .command('load')
    .description('fill an empty scheduling database, made by "pgarch init", from a dump')
    .argument('<file>')
    .action(act(load))
  schedule
    .command('rebuild')
    .description('find out from the paths which files are archived; it can be cut off and repeated')
    .option('--path <name>', 'read this path, and others so given; all without', collect)
    .option('--dry-run', 'read, report, and change nothing')
    .addHelpText('after', '\nThe exit status is 1 when a path, or a file, needs attention.')
    .action(act(rebuild))
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

async function dump(_options: object, command: Command): Promise<void> {
  const { readDump } = await import('../schedule/dump.ts')
  const { printJson } = await import('../print.ts')
  printJson(await asAdmin(command, readDump))
}

async function load(file: string, _options: object, command: Command): Promise<void> {
  const { readFile } = await import('node:fs/promises')
  const { fileError } = await import('../fs/errors.ts')
  const { parseDump } = await import('../schedule/dump-file.ts')
  const { loadDump } = await import('../schedule/load.ts')
  const { printLine } = await import('../print.ts')
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw fileError('read file', file, thrown)
  })
  const given = parseDump(text, file)
  const outcome = await asAdmin(command, (schedule) => loadDump(schedule, given))
  const count = `clusters: ${given.clusters.length}, paths: ${given.paths.length}`
  printLine(
    outcome === 'loaded'
      ? `Loaded (${count}). Which files the paths hold: pgarch schedule rebuild`
      : `The scheduling database holds the same already (${count}).`,
  )
}

async function rebuild(options: RebuildOptions, command: Command): Promise<number | undefined> {
  const { rebuild: rebuildFrom } = await import('../archive/rebuild.ts')
  const { listPaths, requirePath } = await import('../schedule/paths.ts')
  const { adminExit } = await import('../exit-codes.ts')
  const { printLine, printRows } = await import('../print.ts')
  const problems: string[] = []
  const reporter = await showProgress(problems)
  const { paths, clusters } = await asAdmin(command, async (schedule, config) => {
    const wanted =
      options.path === undefined
        ? (await listPaths(schedule)).filter(({ lostTime }) => lostTime === null)
        : await Promise.all(options.path.map((name) => requirePath(schedule, name)))
    const request = { paths: wanted, dryRun: options.dryRun === true }
    return await rebuildFrom(schedule, request, config, reporter)
  })
  const { log } = await import('../log.ts')
  for (const problem of problems) log.warning(problem)
  for (const { name, fingerprint } of clusters) {
    printLine(`Made cluster "${name}" again, fingerprint ${fingerprint}; no path is active yet.`)
  }
  printRows(
    paths,
    [
      { title: 'path', value: ({ name }) => name },
      { title: 'recorded', value: ({ recorded }) => recorded, align: 'right' },
      { title: 'known before', value: ({ known }) => known, align: 'right' },
      { title: 'conflicts', value: ({ conflicts }) => conflicts, align: 'right' },
      { title: 'unusable', value: ({ unusable }) => unusable, align: 'right' },
    ],
    { none: 'No path was read.' },
  )
  if (options.dryRun) printLine('Nothing was changed.')
  return problems.length > 0 ? adminExit.failed : undefined
}

/** A bar on a terminal; else a line for each path, and for each tenth of it. */
async function showProgress(problems: string[]): Promise<RebuildReporter> {
  const problem = (text: string) => {
    problems.push(text)
  }
  if (process.stderr.isTTY) {
    const { SingleBar } = await import('cli-progress')
    const bar = new SingleBar({
      format: '{path} {bar} {value}/{total} files, {eta_formatted} left',
      hideCursor: true,
    })
    return {
      begin: (path, files) => bar.start(files, 0, { path }),
      advance: (files) => bar.increment(files),
      end: () => bar.stop(),
      problem,
    }
  }
  const { log } = await import('../log.ts')
  let [name, total, done, tenths] = ['', 0, 0, 0]
  return {
    begin(path, files) {
      ;[name, total, done, tenths] = [path, files, 0, 0]
      log.info(`path "${name}" holds ${total} files`)
    },
    advance(files) {
      done += files
      if (Math.floor((10 * done) / total) === tenths) return
      tenths = Math.floor((10 * done) / total)
      log.info(`path "${name}": ${done} of ${total} files`)
    },
    end() {},
    problem,
  }
}
