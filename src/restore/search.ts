import { rm } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { Location } from '../schedule/types.ts'
import type { PathDescription } from '../stores/store.ts'
import { storedName } from '../stores/stored-file.ts'
import type { OwnArchive } from './own-archive.ts'
import { type Expected, place, temporaryName, verify } from './place.ts'
import { absent, doubtful, type Round } from './round.ts'

export interface Search {
  readonly location: Location
  /** This host's local archive, where it has one, or why that is in doubt. */
  readonly own: OwnArchive | PgarchError | undefined
  readonly expected: Expected
  readonly walPath: string
  /** After this time (milliseconds since the epoch) no further path is opened. */
  readonly expires: number
}

/** A verified copy beside %p, or that a path has none, or why that is in doubt. */
type Answer = { readonly copy: string } | 'absent' | PgarchError

/**
 * Asks every place that could hold the file, this host's local archive and the paths that should have
 * it first and one by one, the other paths all at once, until one gives a copy that verifies. Absent is
 * said only when every one of them, disabled paths included, answered that it has no such file, none of
 * them should have had it, and no other member's local archive holds it.
 */
export async function search(wanted: Search, config: Config): Promise<Round> {
  const { location, own, walPath } = wanted
  const doubts: PgarchError[] = own instanceof PgarchError ? [own] : []
  for (const { path, hasCopy } of firstPlaces(wanted)) {
    const answer = await ask(path, wanted, config)
    if (typeof answer === 'object' && 'copy' in answer)
      return await placeCopy(answer.copy, walPath, doubts)
    if (answer !== 'absent') doubts.push(answer)
    else if (hasCopy) doubts.push(missingCopy(path, wanted.expected))
  }
  const others = location.paths.filter(({ hasCopy }) => !hasCopy)
  const answers = await Promise.all(others.map((path) => ask(path, wanted, config)))
  doubts.push(...answers.filter((answer) => answer instanceof PgarchError))
  const copies = answers.flatMap((answer) =>
    typeof answer === 'object' && 'copy' in answer ? [answer.copy] : [],
  )
  const [copy, ...surplus] = copies
  for (const one of surplus) await rm(one, { force: true })
  if (copy !== undefined) return await placeCopy(copy, walPath, doubts)

  for (const { memberId, host } of location.localMembers) {
    if (!idsOf(own).includes(memberId)) doubts.push(onlyOnHost(host, wanted.expected))
  }
  return doubts.length === 0 ? absent : doubtful(doubts)
}

/**
 * The own archive comes before all others, because what is drained from it meanwhile is by then on a
 * path; the other way round a file on its way could be missed in both places.
 */
function firstPlaces({ location, own }: Search): { path: PathDescription; hasCopy: boolean }[] {
  const paths = location.paths.filter(({ hasCopy }) => hasCopy)
  const places = paths.map((path) => ({ path, hasCopy: true }))
  if (own === undefined || own instanceof PgarchError) return places
  const hasCopy = location.localMembers.some(({ memberId }) => own.memberIds.includes(memberId))
  return [{ path: own.path, hasCopy }, ...places]
}

function idsOf(own: Search['own']): readonly string[] {
  return own === undefined || own instanceof PgarchError ? [] : own.memberIds
}

async function ask(path: PathDescription, wanted: Search, config: Config): Promise<Answer> {
  const { location, expected, walPath, expires } = wanted
  const timeLeft = expires - Date.now()
  if (timeLeft <= 0) return noTimeLeft(path)
  const sshConnectTimeout = Math.min(config.sshConnectTimeout, timeLeft)
  const stallTimeout = Math.min(config.stallTimeout, timeLeft)
  const copy = await temporaryName(walPath, path.id)
  try {
    return await withPath(path, { ...config, sshConnectTimeout, stallTimeout }, async (store) => {
      const digest = await store.get(storedName(location.fingerprint, expected.walName), copy)
      if (digest === 'absent') return 'absent'
      await verify(copy, digest, expected)
      return { copy }
    })
  } catch (error) {
    await rm(copy, { force: true })
    if (error instanceof PgarchError) return error
    throw error
  }
}

async function placeCopy(copy: string, walPath: string, doubts: PgarchError[]): Promise<Round> {
  await place(copy, walPath)
  return { outcome: 'placed', doubts }
}

function noTimeLeft(path: PathDescription): PgarchError {
  return new PgarchError('unreachable', `path "${path.name}" was not asked: no time is left`)
}

function missingCopy(path: PathDescription, { walName }: Expected): PgarchError {
  return new PgarchError(
    'damaged',
    `path "${path.name}" no longer has "${walName}", which was archived there`,
  )
}

function onlyOnHost(host: string, { walName }: Expected): PgarchError {
  return new PgarchError(
    'unreachable',
    `"${walName}" lies in the local archive of host "${host}" and on no path yet`,
  )
}
