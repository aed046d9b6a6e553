import type { Command } from 'commander'
import { type Act, asAdmin } from './command.ts'

/** `cluster retire` and `cluster reinstate`. */
export function declareRetire(cluster: Command, act: Act): void {
  cluster
    .command('retire')
    .description('refuse its pushes from now on, and free its name and address; its files stay')
    .argument('<cluster>')
    .action(act(retire))
  cluster
    .command('reinstate')
    .description('take that back; by fingerprint, if another cluster has the name by now')
    .argument('<cluster>')
    .action(act(reinstate))
}

async function retire(reference: string, _options: object, command: Command): Promise<void> {
  const { requireCluster, retireCluster } = await import('../schedule/clusters.ts')
  const { listMembersAtWork } = await import('../schedule/members.ts')
  const { log } = await import('../log.ts')
  const { prettyTime, printLine } = await import('../print.ts')
  const { cluster, atWork } = await asAdmin(command, async (schedule) => {
    const cluster = await requireCluster(schedule, reference)
    await retireCluster(schedule, cluster.fingerprint)
    return { cluster, atWork: await listMembersAtWork(schedule, cluster.fingerprint) }
  })
  const { name, fingerprint } = cluster
  printLine(`Cluster "${name}" is retired, fingerprint ${fingerprint}. Its files can be fetched.`)
  for (const { host, dataDirectory, lastSeen } of atWork) {
    log.warning(
      `"${dataDirectory}" on host "${host}" archived at ${prettyTime(lastSeen)} and is refused now`,
      'WAL waits in pg_wal there. Stop the server, or run "pgarch cluster reinstate".',
    )
  }
}

async function reinstate(reference: string, _options: object, command: Command): Promise<void> {
  const { reinstateCluster, requireCluster } = await import('../schedule/clusters.ts')
  const { printLine } = await import('../print.ts')
  const { name } = await asAdmin(command, async (schedule) => {
    const cluster = await requireCluster(schedule, reference)
    await reinstateCluster(schedule, cluster.fingerprint)
    return cluster
  })
  printLine(`Cluster "${name}" is not retired any more: its members can push again.`)
}
