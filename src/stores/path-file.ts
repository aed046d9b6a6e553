import { randomUUID } from 'node:crypto'
import { PgarchError } from '../errors.ts'
import type { FileAccess } from './file-access.ts'
import type { PathDescription } from './store.ts'
import { temporaryName } from './temporary-files.ts'
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
  if (uuidIn(text) === path.uuid) return
  throw new PgarchError('unusable', `path "${path.name}": "${path.rootPath}" is another path's`, {
    hint: `Its ${fileName} carries ${uuidIn(text) ?? 'no uuid'}, not ${path.uuid}. Is the right disk mounted?`,
  })
}

/** Writes the file durably, unless there is one, and then checks whose it is. */
export async function claimPath(
  files: FileAccess,
  path: PathDescription,
  watch: Watch,
): Promise<void> {
  if ((await files.readText(fileName)) === 'absent') {
    const temporary = temporaryName(fileName)
    try {
      await writeText(files, path, temporary, contentFor(path), watch)
      await files.link(temporary, fileName)
    } finally {
      await files.unlink(temporary)
    }
    await watch.unhurried(files.sync(''))
  }
  await checkPathFile(files, path)
}

/** Proves that the root takes, keeps, links and never replaces a file. Leaves nothing behind. */
export async function tryOut(files: FileAccess, path: PathDescription, watch: Watch) {
  const [first, second] = [temporaryName('probe'), temporaryName('probe')]
  const text = randomUUID()
  try {
    await writeText(files, path, first, text, watch)
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

async function writeText(
  files: FileAccess,
  path: PathDescription,
  name: string,
  text: string,
  watch: Watch,
) {
  const bytes = (async function* () {
    yield Buffer.from(text)
  })()
  if ((await files.create(name, bytes, watch)) !== 'no-directory') return
  throw new PgarchError('unusable', `path "${path.name}": there is no "${path.rootPath}"`, {
    hint: 'Create it, owned by the user that pgarch uses there; or mount its disk.',
  })
}

function contentFor({ uuid, name }: PathDescription): string {
  return `${JSON.stringify({ version, path: uuid, name }, undefined, 2)}\n`
}

function uuidIn(text: string): string | undefined {
  try {
    const content = JSON.parse(text)
    return content.version === version && typeof content.path === 'string'
      ? content.path
      : undefined
  } catch {
    return undefined
  }
}
