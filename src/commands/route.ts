import { type Command, Option } from 'commander'
import type { Config } from '../config.ts'
import type { Schedule } from '../schedule/connect.ts'
import type { ArchivePath } from '../schedule/paths.ts'
import { type Act, asAdmin } from './command.ts'
import { numberBetween } from './options.ts'

export function declare(program: Command, act: Act): void {
  const route = program.command('route').description('which paths serve a cluster, in what order')
  route
    .command('set')
    .description('let a path serve a cluster, or change its priority there')
    .argument('<cluster>')
    .argument('<path>')
    .addOption(
      new Option('--priority <number>', 'the path with the largest is tried first')
        .argParser(numberBetween(-1_000_000, 1_000_000))
        .makeOptionMandatory(),
    )
    .action(act(set))
  route
    .command('list')
    .description('list the routes, in the order in which push tries the paths')
    .argument('[cluster]')
    .option('--json', 'as JSON')
    .action(act(list))
  const change = (name: string, description: string, done: string, run: ChangeEntry) =>
    route
      .command(name)
      .description(description)
      .argument('<cluster>')
      .argument('<path>')
      .action(
        act((cluster: string, path: string, _options: object, command: Command) =>
          changeEntry(cluster, path, run, done, command),
        ),
      )
  change(
    'enable',
    "let the cluster's files go there again",
    'serves again',
    async (schedule, cluster, path) => {
      const { setRouteActive } = await import('../schedule/routes.ts')
      await setRouteActive(schedule, cluster, path.id, true)
    },
  )
  change(
    'disable',
    'let no more of its files go there; what lies there is still fetched',
    'gets no more files of',
    async (schedule, cluster, path) => {
      const { setRouteActive } = await import('../schedule/routes.ts')
      await setRouteActive(schedule, cluster, path.id, false)
    },
  )
  change(
    'remove',
    "take a path that has none of its files out of the cluster's route",
    'is no longer in the route of',
    async (schedule, cluster, path, config) => {
      const { takeOutOfRoute } = await import('../archive/path-removal.ts')
      await takeOutOfRoute(schedule, cluster, path, config)
    },
  )
}

/** Changes the entry of a path in the route of the cluster with this fingerprint. */
type ChangeEntry = (
  schedule: Schedule,
  fingerprint: string,
  path: ArchivePath,
  config: Config,
) => Promise<void>

async function changeEntry(
  cluster: string,
  path: string,
  run: ChangeEntry,
  done: string,
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { requirePath } = await import('../schedule/paths.ts')
  await asAdmin(command, async (schedule, config) => {
    const { fingerprint } = await requireCluster(schedule, cluster)
    await run(schedule, fingerprint, await requirePath(schedule, path), config)
  })
  const { printLine } = await import('../print.ts')
  printLine(`Path "${path}" ${done} cluster "${cluster}".`)
}

async function set(
  cluster: string,
  path: string,
  options: { readonly priority: number },
  command: Command,
): Promise<void> {
  const { setRoute } = await import('../schedule/routes.ts')
  await changeEntry(
    cluster,
    path,
    (schedule, fingerprint, { id }) => setRoute(schedule, fingerprint, id, options.priority),
    `has priority ${options.priority} for`,
    command,
  )
}

async function list(
  cluster: string | undefined,
  options: { readonly json?: true },
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { listRoutes } = await import('../schedule/routes.ts')
  const { printRows, tone } = await import('../print.ts')
  const entries = await asAdmin(command, async (schedule) => {
    const chosen = cluster === undefined ? undefined : await requireCluster(schedule, cluster)
    return await listRoutes(schedule, chosen?.fingerprint ?? null)
  })
  printRows(
    entries,
    [
      { title: 'cluster', value: ({ clusterName }) => clusterName },
      { title: 'path', value: ({ pathName }) => pathName },
      { title: 'priority', value: ({ priority }) => priority, align: 'right' },
      {
        title: 'state',
        value: ({ active, pathActive }) => {
          if (!pathActive) return tone.doubtful('path disabled')
          return active ? tone.good('active') : tone.doubtful('disabled')
        },
      },
    ],
    { json: options.json, none: 'There are no routes yet. See "pgarch route set --help".' },
  )
}
