import { randomUUID } from 'node:crypto'
import { PgarchError } from '../errors.ts'
import type { FileAccess } from './file-access.ts'
import type { PathClaim, PathDescription } from './store.ts'
import { temporaryName } from './temporary-files.ts'
import { publishText, writeText } from './text-file.ts'
import type { Watch } from './watch.ts'

/** At the root of every path; docs/stored-file.md promises its form. */
const fileName = 'pgarch-path'
const version = 1

/**
 * Resolves when the root carries this path's uuid; rejects with `unusable` when it does not. `unclaimed`:
 * a root without the file is as good.
 */
export async function checkPathFile(
  files: FileAccess,
  path: PathDescription,
  options: { unclaimed?: boolean } = {},
): Promise<void> {
  const text = await files.readText(fileName)
  if (text === 'absent') {
    if (options.unclaimed === true) return
    throw new PgarchError(
      'unusable',
      `path "${path.name}": "${path.rootPath}" has no ${fileName}`,
      {
        hint: 'Is its disk mounted? If this is a new place, "pgarch path add" makes it one of pgarch.',
      },
    )
  }
  const uuid = parse(text)?.uuid
  if (uuid === path.uuid) return
  const advice =
    options.unclaimed === true
      ? 'If the scheduling database it belonged to is lost for good, add it with --adopt. If that ' +
        `path was removed, remove the file ${fileName}.`
      : 'Is the right disk mounted?'
  throw new PgarchError('unusable', `path "${path.name}": "${path.rootPath}" is another path's`, {
    hint: `Its ${fileName} carries ${uuid ?? 'no uuid'}, not ${path.uuid}. ${advice}`,
  })
}

/** Writes the file durably, unless there is one, and then checks whose it is. */
export async function claimPath(
  files: FileAccess,
  path: PathDescription,
  watch: Watch,
): Promise<void> {
  if ((await files.readText(fileName)) === 'absent') {
    await publishText({ files, path, name: fileName }, contentFor(path), watch)
  }
  await checkPathFile(files, path)
}

/** Whose the root is; undefined: it has no such file, or none that can be understood. */
export async function readPathClaim(files: FileAccess): Promise<PathClaim | undefined> {
  const text = await files.readText(fileName)
  return text === 'absent' ? undefined : parse(text)
}

/** Proves that the root takes, keeps, links and never replaces a file. Leaves nothing behind. */
export async function tryOut(files: FileAccess, path: PathDescription, watch: Watch) {
  const [first, second] = [temporaryName('probe'), temporaryName('probe')]
  const text = randomUUID()
  try {
    await writeText({ files, path, name: first }, text, watch)
    if ((await files.readText(first)) !== text) throw broken('does not give back what was written')
    const link = await files.link(first, second).catch((thrown: unknown) => {
      if (!(thrown instanceof PgarchError) || thrown.failure !== 'unusable') throw thrown
      throw broken('is on a file system that cannot make hard links', thrown)
    })
    if (link !== 'linked') throw broken('makes no hard link of a new name')
    if ((await files.link(first, second)) !== 'exists') throw broken('replaces files that exist')
  } finally {
    await files.unlink(first)
    await files.unlink(second)
  }
  await watch.unhurried(files.sync(''))

  function broken(what: string, cause?: unknown): PgarchError {
    return new PgarchError('unusable', `path "${path.name}": "${path.rootPath}" ${what}`, { cause })
  }
}

function contentFor({ uuid, id, name }: PathDescription): string {
  return `${JSON.stringify({ version, path: uuid, id, name }, undefined, 2)}\n`
}

function parse(text: string): PathClaim | undefined {
  try {
    const { path: uuid, id, ...content } = JSON.parse(text)
    if (content.version !== version || typeof uuid !== 'string') return undefined
    return { uuid, id: Number.isInteger(id) ? id : undefined }
  } catch {
    return undefined
  }
}
