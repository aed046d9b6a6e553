import { setTimeout as sleep } from 'node:timers/promises'
import { hostOf } from '../faults/lost-host.ts'
import { endRests, waitFor } from '../support/fleet.ts'
import { kill } from '../support/processes.ts'
import { workerOf } from '../support/worker.ts'
import { oneOf, shuffled } from './chance.ts'
import { type Cluster, journalOf, localFilesOf, type Scene } from './clusters.ts'
import { extent } from './extent.ts'

/** Something that goes wrong, or is changed, and is over when it resolves to what it was. */
export type Fault = readonly [what: string, happen: (scene: Scene) => Promise<string>]

export const faultsOfPaths: readonly Fault[] = [
  ['paths killed', killPath],
  ['all paths killed at once', killAllPaths],
  ['sessions killed', killSessions],
  ['paths hung', hangPath],
]

export const otherFaults: readonly Fault[] = [
  ['priorities changed', changePriorities],
  ['paths disabled', disablePath],
  ['workers killed', killWorkers],
  ['clusters killed', killCluster],
  ['scheduling database restarted', restartSchedule],
]

async function killPath({ paths }: Scene): Promise<string> {
  const { sshd, name } = oneOf(paths)
  sshd.kill()
  await sleep(extent.fault)
  await sshd.restart()
  return name
}

/** Until a local archive has taken a file. */
async function killAllPaths({ paths, clusters }: Scene): Promise<string> {
  const count = () => clusters.flatMap(localFilesOf).length
  const before = count()
  for (const { sshd } of paths) sshd.kill()
  await sleep(extent.fault)
  await waitFor('a local archive takes a file', () => count() > before)
  await Promise.all(paths.map(({ sshd }) => sshd.restart()))
  return `${count()} files in local archives`
}

/** The listener goes on: again and again, so that some of them are in mid-transfer. */
async function killSessions({ paths }: Scene): Promise<string> {
  const { sshd, name } = oneOf(paths)
  for (let times = 0; times < 5; times++) {
    await sleep(Math.random() * 400)
    sshd.killSessions()
  }
  return name
}

/** For longer than pgarch waits for it. */
async function hangPath({ paths }: Scene): Promise<string> {
  const { sshd, name } = oneOf(paths)
  sshd.freeze()
  await sleep(3 * extent.fault)
  sshd.thaw()
  return name
}

async function changePriorities({ fleet, clusters, paths }: Scene): Promise<string> {
  const { name } = oneOf(clusters)
  for (const path of shuffled(paths)) {
    const priority = String(Math.ceil(Math.random() * 200))
    await fleet.admin('route', 'set', name, path.name, '--priority', priority)
  }
  return name
}

async function disablePath({ fleet, paths }: Scene): Promise<string> {
  const { name } = oneOf(paths)
  await fleet.admin('path', 'disable', name)
  await sleep(extent.fault)
  await fleet.admin('path', 'enable', name)
  return name
}

async function killWorkers({ fleet, clusters }: Scene): Promise<string> {
  const some = shuffled(clusters).slice(0, Math.ceil(clusters.length / 3))
  for (const { server } of some) kill(workerOf(fleet, server))
  return some.map(({ name }) => name).join(', ')
}

/** The server, the push that runs, and the worker; then it starts again. */
async function killCluster({ fleet, clusters }: Scene): Promise<string> {
  const cluster = oneOf(clusters)
  const { server, name } = cluster
  cluster.isDown = true
  const worker = workerOf(fleet, server)
  hostOf(server).lose()
  kill(worker)
  await server.ended()
  await sleep(Math.random() * extent.fault)
  await server.start()
  cluster.isDown = false
  return name
}

/** Until a record waits for it. */
async function restartSchedule(scene: Scene): Promise<string> {
  const { schedule } = scene.fleet
  const mode = oneOf(['fast', 'immediate'] as const)
  const count = () => scene.clusters.flatMap((cluster) => journalOf(scene, cluster)).length
  await schedule.stop(mode)
  await sleep(extent.fault)
  await waitFor('a record waits', () => count() > 0)
  const waiting = count()
  await schedule.start()
  return `${mode}, ${waiting} records wait`
}

/** What failed may be tried again at once, as if five minutes had gone by. */
export function letTimePass({ fleet }: Scene, { server }: Cluster): void {
  kill(workerOf(fleet, server))
  endRests(fleet, server)
}
