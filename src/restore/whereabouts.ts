import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { cachePaths, readCachedPaths } from '../schedule/cached-route.ts'
import { scheduleRest } from '../schedule/rests.ts'
import type { Location } from '../schedule/types.ts'
import type { PathDescription } from '../stores/store.ts'
import { identifyDeclared } from './declared.ts'
import { mayPass } from './round.ts'
import { membershipOf, type Target } from './target.ts'

/** Where a WAL file can be, and what is known of it. */
export interface Whereabouts
  extends Pick<
    Location,
    'fingerprint' | 'file' | 'lostPaths' | 'lostHosts' | 'cleanedPaths' | 'localMembers' | 'dropped'
  > {
  readonly systemIdentifier: string
  /** Bytes; null: nobody says. */
  readonly walSegmentSize: number | null
  readonly paths: readonly (PathDescription & { readonly hasCopy: boolean })[]
  /** Names of paths that are not asked on request, although they may hold the file. */
  readonly withoutPaths: readonly string[]
  /** Why a path, or the file itself, may be missing here: absent is then never said. */
  readonly incomplete: PgarchError | null
}

/**
 * The stage *locate*: asks the scheduling database; while that cannot be used, what this host keeps and
 * the configuration file declares. With `fetch.paths_complete` the file counts alone.
 */
export async function findWhereabouts(
  walName: string,
  target: Target,
  config: Config,
): Promise<Whereabouts> {
  const { without } = target
  const found = config.pathsComplete
    ? await declaredWhereabouts(target, config)
    : await askedWhereabouts(walName, target, config)
  return {
    ...found,
    paths: found.paths.filter(({ name }) => !without.includes(name)),
    withoutPaths: found.paths.filter(({ name }) => without.includes(name)).map(({ name }) => name),
  }
}

type Found = Omit<Whereabouts, 'withoutPaths'>

async function askedWhereabouts(walName: string, target: Target, config: Config): Promise<Found> {
  const { rests, sources } = target
  try {
    if (rests?.isResting(scheduleRest)) throw resting('the scheduling database')
    const location = await sources.locate(target.cluster, walName)
    rests?.note(scheduleRest, 'worked')
    await keepPaths(target, location)
    return { ...location, incomplete: whyIncomplete(location) }
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    if (mayPass(error) && !rests?.isResting(scheduleRest)) rests?.note(scheduleRest, 'failed')
    const remembered = await rememberedWhereabouts(target, config)
    if (remembered === undefined) throw error
    return { ...remembered, incomplete: error }
  }
}

/** Why places that could hold the file may be missing in the database's answer; null: none is. */
function whyIncomplete(location: Location): PgarchError | null {
  const { clusterName, paths, lostAPath, asOfStandby, namesakes } = location
  if (asOfStandby) {
    return new PgarchError(
      'unreachable',
      'a standby of the scheduling database answered, which may not know the newest paths and files',
      { hint: 'Name its primary in the URL, and add target_session_attrs=read-write.' },
    )
  }
  if (paths.length === 0 && !lostAPath) {
    return new PgarchError('unusable', `cluster "${clusterName}" has no archive path to ask`, {
      hint: 'See "pgarch route list". Where it has none yet, nobody can tell what is archived.',
    })
  }
  if (namesakes.length > 0) {
    const names = namesakes.map((name) => `"${name}"`).join(', ')
    return new PgarchError(
      'refused',
      `${names} and cluster "${clusterName}" have one system identifier, and either may have archived it`,
      { hint: 'Say in restore_command whose WAL is wanted: add --cluster and its name.' },
    )
  }
  return null
}

/** Passed over because it failed lately. */
export function resting(what: string): PgarchError {
  return new PgarchError('unreachable', `${what} failed lately, and is not asked for a while`)
}

async function keepPaths(target: Target, location: Location): Promise<void> {
  const { stateDirectory } = target
  if (stateDirectory === undefined || membershipOf(target) === undefined) return
  const paths = location.paths.map(({ hasCopy: _, ...path }) => path)
  try {
    await cachePaths(stateDirectory, { fingerprint: location.fingerprint, paths })
  } catch (error) {
    log.warning(`could not keep the paths for an outage: ${describeError(error)}`)
  }
}

/** Undefined when there is nothing to go by. */
async function rememberedWhereabouts(
  target: Target,
  config: Config,
): Promise<Omit<Found, 'incomplete'> | undefined> {
  const { stateDirectory } = target
  const member = membershipOf(target)
  if (member === undefined || stateDirectory === undefined) {
    if (config.declaredPaths.length === 0) return undefined
    // That the paths do not tell which cluster is meant counts no more than that nobody could be asked.
    return await declaredWhereabouts(target, config).catch((error: unknown) => {
      if (error instanceof PgarchError) return undefined
      throw error
    })
  }
  const { fingerprint, systemIdentifier, walSegmentSize } = member
  const kept = await readCachedPaths(stateDirectory, fingerprint)
  const others = config.declaredPaths.filter((one) => !kept.some(({ uuid }) => uuid === one.uuid))
  const paths = [...kept, ...others].map(withoutCopy)
  return { ...unknownFile, fingerprint, systemIdentifier, walSegmentSize, paths }
}

async function declaredWhereabouts(target: Target, config: Config): Promise<Found> {
  if (config.declaredPaths.length === 0) {
    throw new PgarchError('usage', 'fetch.paths_complete is on, but no path is declared', {
      hint: 'Declare every path of the cluster as [[path]] in the configuration file.',
    })
  }
  const { fingerprint, systemIdentifier, walSegmentSize } = await identifyDeclared(target, config)
  const paths = config.declaredPaths.map(withoutCopy)
  const cluster = { fingerprint, systemIdentifier, walSegmentSize }
  return { ...unknownFile, ...cluster, paths, incomplete: null }
}

const unknownFile = {
  file: null,
  lostPaths: [],
  lostHosts: [],
  cleanedPaths: [],
  localMembers: [],
  dropped: false,
} as const

function withoutCopy(path: PathDescription): PathDescription & { hasCopy: boolean } {
  return { ...path, hasCopy: false }
}
