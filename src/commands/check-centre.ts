import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { checkCluster, lastFile } from '../monitor/cluster-findings.ts'
import type { Finding } from '../monitor/finding.ts'
import { checkFleet } from '../monitor/fleet-findings.ts'
import type { Checked } from '../monitor/measure.ts'
import { checkPath } from '../monitor/path-findings.ts'
import { type Probed, probePaths } from '../monitor/probe.ts'
import { requireCluster } from '../schedule/clusters.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type PathHealth, queryDatabaseHealth, queryPathHealth } from '../schedule/health.ts'
import { requirePathOrLost } from '../schedule/lost-paths.ts'
import { listPaths } from '../schedule/paths.ts'
import { queryStatus } from '../schedule/status.ts'
import type { CheckOptions } from './check.ts'
import { asAdmin } from './command.ts'

export { clusterMeasures } from '../monitor/cluster-findings.ts'
export { fleetMeasures } from '../monitor/fleet-findings.ts'
export { pathMeasures } from '../monitor/path-findings.ts'

/**
 * What the scheduling database shows of a cluster, a path or the whole fleet. With `probe` the paths are
 * looked at besides.
 */
export function checkCentre(options: CheckOptions, command: Command): Promise<Checked> {
  const { cluster, path, timeout } = options
  return asAdmin(
    command,
    async (schedule, config) => {
      if (cluster !== undefined) return await ofCluster(schedule, cluster, options, config)
      if (path !== undefined) return await ofPath(schedule, path, options, config)
      return await ofFleet(schedule, options, config)
    },
    // Else a database that is slow would get one more to do with every check that gave up.
    timeout * 1000,
  )
}

async function ofCluster(
  schedule: Schedule,
  reference: string,
  options: CheckOptions,
  config: Config,
): Promise<Checked> {
  const { fingerprint } = await requireCluster(schedule, reference)
  const [status] = await queryStatus(schedule, fingerprint)
  if (status === undefined) return { findings: [], measures: [] }
  const { findings, measures } = checkCluster(status)
  const known = [lastFile(status), ...findings]
  if (!options.probe) return { findings: known, measures }
  const names = status.route.filter(({ active }) => active).map(({ path }) => path)
  const remote = (await livingPaths(schedule)).filter(isRemote)
  const paths = remote.filter(({ name }) => names.includes(name))
  const looked = await probe(schedule, paths, options, config)
  const found = looked.paths.flatMap((path) => checkPath(path).findings)
  return { findings: [...known, ...found, ...looked.doubts], measures }
}

async function ofPath(
  schedule: Schedule,
  name: string,
  options: CheckOptions,
  config: Config,
): Promise<Checked> {
  const { id } = await requirePathOrLost(schedule, name)
  const [known] = await queryPathHealth(schedule, id)
  if (known === undefined) return { findings: [], measures: [] }
  if (!options.probe) return checkPath(known)
  const isLost = known.lostTime !== null
  const { paths, doubts } = await probe(schedule, isLost ? [] : [known], options, config)
  const { findings, measures } = checkPath(paths[0] ?? known)
  return { findings: [...findings, ...(isLost ? [notLooked(name)] : doubts)], measures }
}

/** Whatever is in its place now says nothing of it. */
function notLooked(name: string): Finding {
  const text = 'declared lost, and so was not looked at'
  const hint =
    'Ask for it without --probe; or, if it is there again, see "pgarch path found --help".'
  return { severity: 'unknown', about: `path "${name}"`, text, hint }
}

async function ofFleet(
  schedule: Schedule,
  options: CheckOptions,
  config: Config,
): Promise<Checked> {
  const clusters = await queryStatus(schedule, null, { inBrief: true })
  const known = await livingPaths(schedule)
  const database = await queryDatabaseHealth(schedule)
  const looked = await probe(schedule, options.probe ? known.filter(isRemote) : [], options, config)
  const paths = known.map((path) => looked.paths.find(({ id }) => id === path.id) ?? path)
  const own = measuresSet(options, 'last_file_age')
  const { findings, measures } = checkFleet({ clusters, paths, database }, own)
  return { findings: [...findings, ...looked.doubts], measures }
}

async function livingPaths(schedule: Schedule): Promise<PathHealth[]> {
  return (await queryPathHealth(schedule, null)).filter(({ lostTime }) => lostTime === null)
}

/** A local path is another directory on each host, and perhaps none here: it is looked at by its name alone. */
function isRemote({ kind }: PathHealth): boolean {
  return kind === 'sftp'
}

/** Names of measures that a range was given for; `main` is the kind's main measure. */
function measuresSet({ warning, critical }: CheckOptions, main: string): ReadonlySet<string> {
  const names = [...warning, ...critical].map((given) =>
    given.includes('=') ? given.slice(0, given.indexOf('=')) : main,
  )
  return new Set(names)
}

async function probe(
  schedule: Schedule,
  paths: readonly PathHealth[],
  { timeout }: CheckOptions,
  config: Config,
): Promise<Probed> {
  if (paths.length === 0) return { paths: [], doubts: [] }
  const { testPath } = await import('../archive/paths.ts')
  const places = new Map((await listPaths(schedule)).map((path) => [path.id, path]))
  const look = async ({ id }: PathHealth) => {
    const place = places.get(id)
    if (place === undefined) throw new PgarchError('refused', 'the path was removed')
    return await testPath(place, config)
  }
  const times = { all: timeout * 800, patience: config.sshConnectTimeout }
  return await probePaths(schedule, paths, look, times)
}
