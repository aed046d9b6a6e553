import { type Command, Option } from 'commander'
import { PgarchError } from '../errors.ts'
import type { Switch } from '../schedule/types.ts'
import { type Act, asAdmin, authorHere } from './command.ts'
import { portNumber } from './options.ts'
import { declareRetire } from './retire.ts'

interface SetOptions {
  readonly idc?: string
  readonly platform?: string
  readonly host?: string
  readonly vip?: string
  readonly port?: number
}

interface SwitchOptions {
  readonly reason?: string
  readonly yesLoseWal?: true
}

export function declare(program: Command, act: Act): void {
  const cluster = program.command('cluster').description('the clusters, and whether they archive')
  cluster
    .command('list')
    .description('list the clusters')
    .option('--retired', 'the retired ones too')
    .option('--json', 'as JSON')
    .action(act(list))
  cluster
    .command('show')
    .description('show one cluster, its members and its route')
    .argument('<cluster>', 'name, fingerprint or system identifier')
    .option('--json', 'as JSON')
    .action(act(show))
  cluster
    .command('set')
    .description('change what listings say of a cluster')
    .argument('<cluster>')
    .option('--idc <text>', 'data centre')
    .option('--platform <text>', 'platform')
    .option('--host <name>', 'the name under which clients reach it')
    .option('--vip <address>', 'the address under which clients reach it')
    .option('--port <number>', 'the port under which clients reach it', portNumber)
    .action(act(set))
  cluster
    .command('rename')
    .description('give a cluster another name; its fingerprint and files stay as they are')
    .argument('<cluster>')
    .argument('<name>')
    .action(act(rename))
  cluster
    .command('start')
    .description('archive; what waits in pg_wal follows')
    .argument('<cluster>')
    .option('--reason <text>')
    .action(act(switchTo('start')))
  cluster
    .command('pause')
    .description('let push fail, so that WAL waits in pg_wal')
    .argument('<cluster>')
    .option('--reason <text>')
    .action(act(switchTo('pause')))
  cluster
    .command('stop')
    .description('let push succeed without archiving: WAL is dropped, and recovery has a gap')
    .argument('<cluster>')
    .option('--reason <text>')
    .addOption(new Option('--yes-lose-wal', 'needed, because that is what it does'))
    .action(act(switchTo('stop')))
  declareRetire(cluster, act)
}

async function list(
  options: { readonly retired?: true; readonly json?: true },
  command: Command,
): Promise<void> {
  const { listClusters } = await import('../schedule/clusters.ts')
  const { printRows, tone } = await import('../print.ts')
  const clusters = await asAdmin(command, (schedule) => listClusters(schedule, options))
  printRows(
    clusters,
    [
      { title: 'name', value: ({ name }) => name },
      {
        title: 'switch',
        value: (one) => {
          if (!one.active) return 'retired'
          return one.switch === 'start' ? tone.good('start') : tone.bad(one.switch)
        },
      },
      { title: 'version', value: ({ version }) => version },
      { title: 'host', value: ({ host }) => host },
      { title: 'system identifier', value: ({ systemIdentifier }) => systemIdentifier },
      { title: 'fingerprint', value: ({ fingerprint }) => fingerprint },
    ],
    { json: options.json, none: 'There are no clusters yet. See "pgarch register --help".' },
  )
}

async function show(
  reference: string,
  options: { readonly json?: true },
  command: Command,
): Promise<void> {
  const { requireCluster } = await import('../schedule/clusters.ts')
  const { listMembers } = await import('../schedule/members.ts')
  const { listRoutes } = await import('../schedule/routes.ts')
  const { prettySize, prettyTime, printFields, printJson } = await import('../print.ts')
  const { cluster, members, routes } = await asAdmin(command, async (schedule) => {
    const cluster = await requireCluster(schedule, reference)
    const members = await listMembers(schedule, cluster.fingerprint)
    return { cluster, members, routes: await listRoutes(schedule, cluster.fingerprint) }
  })
  if (options.json) {
    printJson({ ...cluster, members, routes })
    return
  }
  printFields({
    name: cluster.name,
    fingerprint: cluster.fingerprint,
    'system identifier': cluster.systemIdentifier,
    'WAL segment size': prettySize(cluster.walSegmentSize),
    version: cluster.version,
    state: cluster.active ? 'active' : 'retired',
    predecessor: cluster.previousFingerprint,
    switch: cluster.switch,
    'switched by': cluster.switchAuthor,
    'switched at': prettyTime(cluster.switchTime),
    reason: cluster.switchReason,
    host: cluster.host,
    vip: cluster.vip,
    port: cluster.port,
    idc: cluster.idc,
    platform: cluster.platform,
    route: routes.map(({ pathName, priority }) => `${pathName} (${priority})`).join(', ') || null,
    members:
      members.map(({ host, dataDirectory }) => `${host}:${dataDirectory}`).join(', ') || null,
    registered: prettyTime(cluster.createTime),
  })
}

async function set(reference: string, options: SetOptions, command: Command): Promise<void> {
  const { requireCluster, updateCluster } = await import('../schedule/clusters.ts')
  if (Object.keys(options).length === 0) {
    throw new PgarchError('usage', 'nothing to change', {
      hint: 'See "pgarch cluster set --help".',
    })
  }
  await asAdmin(command, async (schedule) => {
    const { fingerprint } = await requireCluster(schedule, reference)
    await updateCluster(schedule, fingerprint, options)
  })
  const { printLine } = await import('../print.ts')
  printLine(`Changed cluster "${reference}".`)
}

async function rename(
  reference: string,
  name: string,
  _options: object,
  command: Command,
): Promise<void> {
  const { renameCluster, requireCluster } = await import('../schedule/clusters.ts')
  await asAdmin(command, async (schedule) => {
    const { fingerprint } = await requireCluster(schedule, reference)
    await renameCluster(schedule, fingerprint, name)
  })
  const { printLine } = await import('../print.ts')
  printLine(`Cluster "${reference}" is named "${name}".`)
}

function switchTo(position: Switch) {
  return async (reference: string, options: SwitchOptions, command: Command): Promise<void> => {
    if (position === 'stop' && !options.yesLoseWal) {
      throw new PgarchError('usage', 'a stopped cluster drops its WAL', {
        hint: 'To let WAL wait in pg_wal use "pgarch cluster pause". To drop it add --yes-lose-wal.',
      })
    }
    const { requireCluster, switchCluster } = await import('../schedule/clusters.ts')
    const { name } = await asAdmin(command, async (schedule) => {
      const cluster = await requireCluster(schedule, reference)
      const change = { switch: position, reason: options.reason ?? null, author: authorHere() }
      await switchCluster(schedule, cluster.fingerprint, change)
      return cluster
    })
    const { printLine } = await import('../print.ts')
    printLine(`Cluster "${name}" is at ${position}.`)
  }
}
