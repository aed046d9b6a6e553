import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { listClusters } from '../schedule/clusters.ts'
import type { Schedule } from '../schedule/connect.ts'
import type { ArchivePath } from '../schedule/paths.ts'
import { recreateCluster } from '../schedule/rebuild.ts'
import type { Manifest } from '../stores/manifest.ts'
import { type Counts, type Reporter, readPath } from './read-path.ts'
import { type Survey, surveyPath } from './survey.ts'

/** Is told what happens, as it happens. */
export interface RebuildReporter extends Reporter {
  begin(path: string, files: number): void
  end(): void
}

export interface Rebuilt {
  /** In the order in which they were read; those that could not be read to their end are missing. */
  readonly paths: readonly ({ readonly name: string } & Counts)[]
  /** Those that were made again. */
  readonly clusters: readonly Manifest[]
}

/**
 * Finds out again, from the paths themselves, what they hold: of which cluster, which content, and
 * where. What is recorded already is not read again, so a rebuild that was cut off goes on where it
 * was. With `dryRun` all the same happens, and is taken back.
 */
export async function rebuild(
  schedule: Schedule,
  request: { readonly paths: readonly ArchivePath[]; readonly dryRun: boolean },
  config: Config,
  reporter: RebuildReporter,
): Promise<Rebuilt> {
  if (!request.dryRun) return await rebuildFrom(schedule, request.paths, config, reporter)
  await schedule.query('begin')
  try {
    return await rebuildFrom(schedule, request.paths, config, reporter)
  } finally {
    await schedule.query('rollback')
  }
}

async function rebuildFrom(
  schedule: Schedule,
  paths: readonly ArchivePath[],
  config: Config,
  reporter: RebuildReporter,
): Promise<Rebuilt> {
  const surveys: Survey[] = []
  for (const path of paths) {
    const survey = await unlessItFails(reporter, () => surveyPath(path, config))
    if (survey !== undefined) surveys.push(survey)
  }
  const { clusters, systemIdentifiers } = await settleClusters(schedule, surveys, reporter)
  const read: ({ name: string } & Counts)[] = []
  for (const survey of surveys) {
    const { name } = survey.path
    reporter.begin(name, survey.files)
    const counts = await unlessItFails(reporter, () =>
      readPath(schedule, survey, systemIdentifiers, config, reporter),
    )
    reporter.end()
    if (counts !== undefined) read.push({ name, ...counts })
  }
  return { paths: read, clusters }
}

/** A path that fails does not keep the others from being read. */
async function unlessItFails<Result>(
  reporter: Reporter,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    reporter.problem(describeError(error))
    return undefined
  }
}

/** Makes the clusters that only the paths know, by their manifests. */
async function settleClusters(
  schedule: Schedule,
  surveys: readonly Survey[],
  reporter: Reporter,
): Promise<{ clusters: Manifest[]; systemIdentifiers: Map<string, string> }> {
  const present = await listClusters(schedule, { retired: true })
  const names = new Set(present.flatMap(({ name, active }) => (active ? [name] : [])))
  const systemIdentifiers = new Map(
    present.map(({ fingerprint, systemIdentifier }) => [fingerprint, systemIdentifier]),
  )
  const found = new Set(surveys.flatMap((survey) => [...survey.clusters.keys()]))
  const clusters: Manifest[] = []
  for (const fingerprint of [...found].sort()) {
    if (systemIdentifiers.has(fingerprint)) continue
    const manifest = surveys
      .map((survey) => survey.clusters.get(fingerprint))
      .find((one) => one !== undefined)
    if (manifest === undefined) {
      reporter.problem(`no path has a usable manifest.json of cluster ${fingerprint}`)
      continue
    }
    const cluster = { ...manifest, name: freeName(manifest, names) }
    await recreateCluster(schedule, cluster)
    names.add(cluster.name)
    systemIdentifiers.set(fingerprint, manifest.systemIdentifier)
    clusters.push(cluster)
  }
  return { clusters, systemIdentifiers }
}

/** A cluster and its successor after pg_upgrade, say, may both have had the name. */
function freeName({ name, fingerprint }: Manifest, taken: ReadonlySet<string>): string {
  return taken.has(name) ? `${name.slice(0, 54)}-${fingerprint.slice(0, 8)}` : name
}
