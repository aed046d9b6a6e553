import type { Command } from 'commander'
import type { ClusterStatus } from '../schedule/status.ts'
import { type Act, asAdmin } from './command.ts'

export function declare(program: Command, act: Act): void {
  program
    .command('status')
    .description('how archiving goes, and what needs attention; of one cluster, or of all')
    .argument('[cluster]', 'name, fingerprint or system identifier')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nThe exit status is 1 when something needs attention.')
    .action(act(status))
}

async function status(
  reference: string | undefined,
  options: { readonly json?: true },
  command: Command,
): Promise<number | undefined> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { queryStatus } = await import('../schedule/status.ts')
  const { clusterConcerns } = await import('../archive/concerns.ts')
  const { adminExit } = await import('../exit-codes.ts')
  const { printJson } = await import('../print.ts')
  const found = await asAdmin(command, async (schedule) => {
    const one = reference === undefined ? undefined : await requireCluster(schedule, reference)
    return await queryStatus(schedule, one?.fingerprint ?? null)
  })
  const clusters = found.map((cluster) => ({ ...cluster, concerns: clusterConcerns(cluster) }))
  if (options.json) printJson(clusters)
  else await printStatus(clusters, reference !== undefined)
  return clusters.some(({ concerns }) => concerns.length > 0) ? adminExit.failed : undefined
}

type Assessed = ClusterStatus & { readonly concerns: readonly string[] }

async function printStatus(clusters: readonly Assessed[], single: boolean): Promise<void> {
  const { prettyTime, printFields, printLine, printRows, tone } = await import('../print.ts')
  const routeOf = ({ route }: Assessed) =>
    route.map(({ path, active }) => (active ? path : `(${path})`)).join(' > ')
  const [only] = clusters
  if (single && only !== undefined) {
    printFields({
      cluster: only.name,
      switch: only.switch,
      route: routeOf(only) || null,
      'last archived': only.lastWalName,
      at: prettyTime(only.lastArchivedTime),
      'failed tries since': only.failures,
      'last failure': only.lastError,
      members: only.members
        .map(({ host, lastSeen }) => `${host} (${prettyTime(lastSeen)})`)
        .join(', '),
    })
  } else {
    printRows(
      [...clusters].sort((one, other) => other.concerns.length - one.concerns.length),
      [
        { title: 'cluster', value: ({ name }) => name },
        { title: 'switch', value: ({ switch: position }) => position },
        { title: 'last archived', value: ({ lastWalName }) => lastWalName },
        { title: 'at', value: ({ lastArchivedTime }) => prettyTime(lastArchivedTime) },
        { title: 'route', value: (cluster) => routeOf(cluster) || null },
        {
          title: 'attention',
          value: ({ concerns }) =>
            concerns.length === 0 ? tone.good('none') : tone.bad(concerns.join('; ')),
        },
      ],
      { none: 'There are no clusters yet. See "pgarch register --help".' },
    )
  }
  if (single) for (const concern of only?.concerns ?? []) printLine(tone.bad(concern))
}
