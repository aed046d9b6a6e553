import type { Command } from 'commander'
import type { HostStatus } from '../archive/host-status.ts'
import type { ShippingLag } from '../archive/shipping-lag.ts'
import { adminExit } from '../exit-codes.ts'
import type { ClusterStatus } from '../schedule/status.ts'
import { type Act, asAdmin, configOf } from './command.ts'

export function declare(program: Command, act: Act): void {
  program
    .command('status')
    .description('how archiving goes, and what needs attention; of one cluster, or of all')
    .argument('[cluster]', 'name, fingerprint or system identifier')
    .option('--host', 'only what this host knows by itself; needs no scheduling database')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nThe exit status is 1 when something needs attention.')
    .action(act(status))
}

interface StatusOptions {
  readonly host?: true
  readonly json?: true
}

async function status(
  reference: string | undefined,
  options: StatusOptions,
  command: Command,
): Promise<number | undefined> {
  // What this host knows comes first: the scheduling database may not answer.
  if (options.host || !options.json) {
    const wanting = await hostStatus(options, command)
    if (options.host) return wanting
  }
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { queryStatus } = await import('../schedule/status.ts')
  const { clusterConcerns } = await import('../archive/concerns.ts')
  const { shippingLag } = await import('../archive/shipping-lag.ts')
  const { printJson } = await import('../print.ts')
  const found = await asAdmin(command, async (schedule) => {
    const one = reference === undefined ? undefined : await requireCluster(schedule, reference)
    return await queryStatus(schedule, one?.fingerprint ?? null)
  })
  const now = new Date()
  const clusters = found.map((cluster) => ({
    ...cluster,
    shippingLag: shippingLag(cluster, now) ?? null,
    concerns: clusterConcerns(cluster, now),
  }))
  if (options.json) printJson(clusters)
  else await printStatus(clusters, reference !== undefined)
  return clusters.some(({ concerns }) => concerns.length > 0) ? adminExit.failed : undefined
}

async function hostStatus(options: StatusOptions, command: Command): Promise<number | undefined> {
  const { readHostStatus } = await import('../archive/host-status.ts')
  const { printJson } = await import('../print.ts')
  const host = await readHostStatus(await configOf(command))
  if (options.json) printJson(host)
  else if (options.host || host.length > 0) await printHostStatus(host)
  return host.some(needsAttention) ? adminExit.failed : undefined
}

function needsAttention({ journalLength, localFiles, error }: HostStatus): boolean {
  return journalLength !== 0 || localFiles !== 0 || error !== null
}

async function printHostStatus(host: readonly HostStatus[]): Promise<void> {
  const { prettySize, prettyTime, printLine, printRows, tone } = await import('../print.ts')
  const waiting = (count: number | null) => {
    if (count === null) return tone.bad('cannot tell')
    return count === 0 ? tone.good('empty') : tone.doubtful(String(count))
  }
  printRows(
    host,
    [
      { title: 'data directory on this host', value: ({ dataDirectory }) => dataDirectory },
      { title: 'cluster', value: ({ clusterName }) => clusterName },
      {
        title: 'journal',
        value: ({ journalLength, journalOfOthers }) =>
          journalOfOthers === 0
            ? waiting(journalLength)
            : tone.bad(`${journalLength}, ${journalOfOthers} of another cluster`),
      },
      { title: 'oldest', value: ({ journalOldest }) => prettyTime(journalOldest) },
      { title: 'local archive', value: ({ localFiles }) => waiting(localFiles) },
      { title: 'oldest', value: ({ localOldest }) => prettyTime(localOldest) },
      { title: 'route read', value: ({ routeReadTime }) => prettyTime(routeReadTime) },
      {
        title: 'worker',
        value: ({ worker }) => {
          if (worker === null || 'absence' in worker) return worker?.absence
          return tone.good(`pid ${worker.pid ?? 'unknown'} since ${prettyTime(worker.since)}`)
        },
      },
      {
        title: 'shipped',
        value: ({ shipping }) => {
          if (shipping === null) return undefined
          const { isRunning, shippedLsn, path, lagBytes, time } = shipping
          const far = `${shippedLsn ?? 'nothing'} on ${path ?? 'no path'} at ${prettyTime(time)}`
          if (!isRunning) return tone.doubtful(`${far}, no shipper runs`)
          return lagBytes === 0
            ? tone.good(far)
            : tone.doubtful(`${far}, ${prettySize(lagBytes)} behind`)
        },
      },
    ],
    { none: 'No data directory was registered on this host.' },
  )
  for (const { dataDirectory, error } of host) {
    if (error !== null) printLine(tone.bad(`${dataDirectory}: ${error}`))
  }
  printLine()
}

type Assessed = ClusterStatus & {
  readonly shippingLag: ShippingLag | null
  readonly concerns: readonly string[]
}

async function printStatus(clusters: readonly Assessed[], single: boolean): Promise<void> {
  const { prettySize, prettyTime, printFields, printLine, printRows, tone } = await import(
    '../print.ts'
  )
  const lagOf = ({ shipping, shippingLag: lag }: Assessed) => {
    if (shipping === null || lag === null) return null
    const seconds = Math.round(lag.milliseconds / 1000)
    return lag.bytes === 0 ? 'none' : `${prettySize(lag.bytes)}, ${seconds} s`
  }
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
      ...(only.shipping !== null && {
        'shipped to': `${only.shipping.shippedLsn ?? '-'} on timeline ${only.shipping.timeline}, path ${only.shipping.path ?? '-'}`,
        'shipped by': `${only.shipping.host} (${prettyTime(only.shipping.toldTime)}${only.shipping.ended ? ', ended' : ''})`,
        'shipping lag': lagOf(only),
      }),
      ...(only.cleanups.length > 0 && {
        'cleaned up': only.cleanups
          .map(
            ({ path, host, files, keptFrom, time }) =>
              `${files} on path ${path} by ${host}, before ${keptFrom} (${prettyTime(time)})`,
          )
          .join(', '),
      }),
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
        { title: 'shipping lag', value: lagOf },
        {
          title: 'attention',
          value: ({ concerns }) =>
            concerns.length === 0 ? tone.good('none') : tone.bad(concerns.join('; ')),
        },
      ],
      { none: 'There are no clusters yet. See "pgarch register --help".' },
    )
  }
  if (single) for (const concern of only?.concerns ?? []) printLine(concern, tone.bad)
}
