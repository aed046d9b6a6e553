import { PgarchError } from '../errors.ts'
import type { Entry } from './file-access.ts'
import { checkPathFile } from './path-file.ts'
import { readStored, type StoredFile } from './read-stored.ts'
import { checkReserve } from './reserve.ts'
import type { Content, Digest } from './store.ts'
import { encode } from './stored-file.ts'
import { sweep, temporaryName } from './temporary-files.ts'
import type { Watch } from './watch.ts'

/** A file, and what the store knows of the directories that it lies in. */
export interface Named extends StoredFile {
  /** Directories that this store has swept, and whose own names it has made durable. */
  readonly knownDirectories: Set<string>
}

export interface Publication extends Named {
  readonly content: Content
  readonly digest: Digest
  readonly compressionLevel: number
  /** Seconds after which nobody writes to a temporary file any more. */
  readonly temporaryAge: number
}

export interface Published {
  readonly outcome: 'stored' | 'already-stored'
  readonly storedBytes: number
}

/**
 * The publish sequence of docs/stored-file.md. Its end, one link that never replaces, is the only
 * place where two writers of one name meet.
 */
export async function publish(publication: Publication, watch: Watch): Promise<Published> {
  const { files, path, name } = publication
  const before = look(publication, watch)
  before.catch(() => {}) // it is awaited below
  // A distant file is opened meanwhile; nothing is written to it before the answer.
  const [directory = ''] = ancestors(name)
  const isHurried = files.keepsOrder && publication.knownDirectories.has(directory)
  const there = isHurried ? 'absent' : await before
  if (there !== 'absent') return await alreadyThere(publication, there, watch)

  const temporary = temporaryName(name)
  let storedBytes: number
  let link: 'linked' | 'exists'
  try {
    storedBytes = await write(publication, temporary, before, watch)
    watch.signal.throwIfAborted()
    link = await giveName(publication, temporary, watch)
  } catch (thrown) {
    await files.unlink(temporary).catch(() => {}) // what went wrong before says more
    if (thrown instanceof Taken) return await alreadyThere(publication, thrown.entry, watch)
    throw thrown
  }
  if (link === 'exists') {
    const winner = await watch.step(files.look(name))
    if (winner === 'absent') {
      throw new PgarchError('unusable', `path "${path.name}": "${name}" came and went`)
    }
    return await alreadyThere(publication, winner, watch)
  }
  return { outcome: 'stored', storedBytes }
}

/** What lies under the name, on what is found to be the path, and to have room. */
async function look(publication: Publication, watch: Watch): Promise<Entry | 'absent'> {
  const { files, path, name, digest } = publication
  const space = path.reserveBytes > 0 ? watch.step(files.space()) : undefined
  space?.catch(() => {}) // it is awaited below, if it counts
  const [, there] = await Promise.all([
    watch.step(checkPathFile(files, path)),
    watch.step(files.look(name)),
  ])
  if (there === 'absent' && space !== undefined) checkReserve(path, digest, await space)
  return there
}

/** Ends a write that has not begun. */
class Taken extends Error {
  readonly entry: Entry

  constructor(entry: Entry) {
    super('the name is taken')
    this.entry = entry
  }
}

async function* unlessTaken(
  before: Promise<Entry | 'absent'>,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const there = await before
  if (there !== 'absent') throw new Taken(there)
  yield* bytes
}

/** In this order. Where that is kept anyway, a distant path is waited for once, and not three times. */
async function giveName(
  publication: Publication,
  temporary: string,
  watch: Watch,
): Promise<'linked' | 'exists'> {
  const { files, name } = publication
  const linking = watch.step(files.link(temporary, name))
  if (!files.keepsOrder) await linking
  const unlinking = watch.step(files.unlink(temporary))
  if (!files.keepsOrder) await unlinking
  const [link] = await Promise.all([linking, unlinking, makeNameDurable(publication, watch)])
  return link
}

async function write(
  publication: Publication,
  temporary: string,
  before: Promise<Entry | 'absent'>,
  watch: Watch,
): Promise<number> {
  const { files, name, content, digest, compressionLevel, knownDirectories } = publication
  const [directory = ''] = ancestors(name)
  if (!knownDirectories.has(directory)) {
    // Not worth failing for: what dead writers left is only in the way of people.
    await watch.step(sweep(files, directory, publication.temporaryAge)).catch(() => {})
  }
  const bytes = unlessTaken(before, encode(content, digest, compressionLevel))
  const written = await files.create(temporary, bytes, watch)
  if (written !== 'no-directory') return written

  await before
  knownDirectories.delete(directory)
  for (const missing of ancestors(name).toReversed().slice(1)) {
    await watch.step(files.makeDirectory(missing))
  }
  const second = await files.create(temporary, bytes, watch)
  if (second !== 'no-directory') return second
  throw new PgarchError(
    'unusable',
    `path "${publication.path.name}": directory "${directory}" vanished`,
  )
}

/** The name is taken: by the same content, judged from the stored bytes, or in vain. */
async function alreadyThere(
  publication: Publication,
  entry: Entry,
  watch: Watch,
): Promise<Published> {
  const { files, path, name, digest } = publication
  const archived = await readStored(publication, entry, () => {}, watch)
  if (archived.sha256 !== digest.sha256 || archived.systemIdentifier !== digest.systemIdentifier) {
    throw new PgarchError(
      'conflict',
      `path "${path.name}" holds other content as "${name}": sha256 ${archived.sha256}, not ${digest.sha256}`,
      {
        hint: 'It is left as it is. Another server may be archiving under the same names.',
      },
    )
  }
  // Whoever wrote it may have died before it was durable.
  await watch.unhurried(files.sync(name))
  await makeNameDurable(publication, watch)
  return { outcome: 'already-stored', storedBytes: entry.size }
}

/**
 * Makes the file's name durable, and once for each store its directories' own names too: another
 * writer may have made them just now, and died. And looks once more whether this is the path: had
 * its disk been unmounted meanwhile, all of it may have happened in the empty mount point.
 */
export async function makeNameDurable(named: Named, watch: Watch): Promise<void> {
  const { files, path, name, knownDirectories } = named
  const [directory = '', ...above] = ancestors(name)
  const known = knownDirectories.has(directory)
  const wanted = known ? [directory] : [directory, ...above]
  const syncing = Promise.all(wanted.map((one) => watch.unhurried(files.sync(one))))
  if (!files.keepsOrder) await syncing
  await Promise.all([syncing, watch.step(checkPathFile(files, path))])
  knownDirectories.add(directory)
}

/** The directories a name lies in, innermost first; the last one is the root, ''. */
export function ancestors(name: string): string[] {
  const slash = name.lastIndexOf('/')
  if (slash === -1) return ['']
  const directory = name.slice(0, slash)
  return [directory, ...ancestors(directory)]
}
