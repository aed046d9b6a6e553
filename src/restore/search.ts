import { rm } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { PathDescription } from '../stores/store.ts'
import { storedName } from '../stores/stored-file.ts'
import { type Asking, askPath } from './ask-path.ts'
import type { OwnArchive } from './own-archive.ts'
import { type Expected, place, temporaryName, verify } from './place.ts'
import { doubtful, type Round } from './round.ts'
import type { Whereabouts } from './whereabouts.ts'

export interface Search extends Asking {
  readonly location: Whereabouts
  /** This host's local archive, where it has one, or why that is in doubt. */
  readonly own: OwnArchive | PgarchError | undefined
  readonly expected: Expected
  readonly walPath: string
}

/** A verified copy beside %p. */
interface Copy {
  readonly file: string
  readonly sha256: string
}

/** A copy, or that a path has none, or why that is in doubt. */
type Answer = Copy | 'absent' | PgarchError

/**
 * Asks every place that could hold the file, this host's local archive and the paths that should have
 * it first and one by one, the other paths all at once, until one gives a copy that verifies. Absent is
 * said only when the list of paths is complete, every place, disabled paths included, answered that it
 * has no such file, none of them should have had it, and no other member's local archive holds it.
 */
export async function search(wanted: Search, config: Config): Promise<Round> {
  const { location, own, walPath } = wanted
  const doubts = [location.incomplete, own].filter((one) => one instanceof PgarchError)
  for (const { path, hasCopy } of firstPlaces(wanted)) {
    const answer = await ask(path, wanted, config)
    if (isCopy(answer)) return await placeCopy(answer, walPath, doubts)
    if (answer !== 'absent') doubts.push(answer)
    else if (hasCopy) doubts.push(missingCopy(path, wanted.expected))
  }
  const others = location.paths.filter(({ hasCopy }) => !hasCopy)
  const answers = await Promise.all(others.map((path) => ask(path, wanted, config)))
  doubts.push(...answers.filter((answer) => answer instanceof PgarchError))
  const [copy, ...surplus] = answers.filter(isCopy)
  for (const { file } of surplus) await rm(file, { force: true })
  if (copy !== undefined) {
    if (surplus.every(({ sha256 }) => sha256 === copy.sha256)) {
      return await placeCopy(copy, walPath, doubts)
    }
    await rm(copy.file, { force: true })
    return doubtful([...doubts, differentCopies(wanted.expected)])
  }
  for (const { memberId, host } of location.localMembers) {
    if (!idsOf(own).includes(memberId)) doubts.push(onlyOnHost(host, wanted.expected))
  }
  return doubts.length === 0 ? { outcome: 'absent', doubts: losses(wanted) } : doubtful(doubts)
}

function isCopy(answer: Answer): answer is Copy {
  return typeof answer === 'object' && 'file' in answer
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
  const { location, expected, walPath } = wanted
  const file = temporaryName(walPath)
  try {
    const answer = await askPath(path, wanted, config, (store) =>
      store.get(storedName(location.fingerprint, expected.walName), file),
    )
    if (answer === 'absent') return 'absent'
    if (answer instanceof PgarchError) throw answer
    await verify(file, answer, expected)
    return { file, sha256: answer.sha256 }
  } catch (error) {
    await rm(file, { force: true })
    if (error instanceof PgarchError) return error
    throw error
  }
}

async function placeCopy({ file }: Copy, walPath: string, doubts: PgarchError[]): Promise<Round> {
  await place(file, walPath)
  return { outcome: 'placed', doubts }
}

/** What absent costs, where WAL was given up. */
function losses({ location, expected: { walName } }: Search): PgarchError[] {
  const { lostPaths, lostHosts, cleanedPaths, withoutPaths, dropped } = location
  const end = 'Recovery cannot go past it.'
  const lost = lostPaths.map(
    (path) =>
      new PgarchError('damaged', `"${walName}" was archived on path "${path}", which is lost`, {
        hint: `${end} If the path is found again, run "pgarch path found ${path}".`,
      }),
  )
  const gone = lostHosts.map(
    (host) =>
      new PgarchError(
        'damaged',
        `"${walName}" was in the local archive of host "${host}", which is lost`,
        { hint: `${end} If it is found again, run "pgarch local found", and drain it.` },
      ),
  )
  const cleaned = cleanedPaths.map(
    (path) =>
      new PgarchError(
        'damaged',
        `"${walName}" was removed from path "${path}" by "pgarch cleanup"`,
        { hint: `A standby had replayed it. ${end} Take a younger base backup.` },
      ),
  )
  const left = withoutPaths.map(
    (path) =>
      new PgarchError('damaged', `"${walName}" may be on path "${path}", which was left out`, {
        hint: `${end} Take --without ${path} out of restore_command when the path answers.`,
      }),
  )
  const gap = new PgarchError('damaged', `"${walName}" was dropped while archiving was stopped`, {
    hint: end,
  })
  const known = [...lost, ...gone, ...cleaned, ...left]
  return dropped ? [...known, gap] : known
}

/** Without the scheduling database nobody knows which of them was archived first. */
function differentCopies({ walName }: Expected): PgarchError {
  return new PgarchError('conflict', `paths hold different content as "${walName}"`, {
    hint: 'Two servers archived it: see docs/conflicts.md. --without one of the paths takes the other.',
  })
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
    {
      hint: 'Run "pgarch local drain" there. If that host is gone for good, see "pgarch local lost --help".',
    },
  )
}
