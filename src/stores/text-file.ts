import { PgarchError } from '../errors.ts'
import type { FileAccess } from './file-access.ts'
import type { PathDescription } from './store.ts'
import { temporaryName } from './temporary-files.ts'
import type { Watch } from './watch.ts'

/** Where a small text file goes. */
export interface TextFile {
  readonly files: FileAccess
  readonly path: PathDescription
  readonly name: string
}

/** As with a WAL file: written, fsynced, linked, so that it is there whole or not; never replaced. */
export async function publishText(
  file: TextFile,
  text: string,
  watch: Watch,
): Promise<'stored' | 'exists'> {
  const { files, name } = file
  const temporary = temporaryName(name)
  let link: 'linked' | 'exists'
  try {
    await writeText({ ...file, name: temporary }, text, watch)
    link = await watch.step(files.link(temporary, name))
  } finally {
    await files.unlink(temporary)
  }
  await watch.unhurried(files.sync(directoryOf(name)))
  return link === 'linked' ? 'stored' : 'exists'
}

/** Creates and fsyncs it under this name. */
export async function writeText(
  { files, path, name }: TextFile,
  text: string,
  watch: Watch,
): Promise<void> {
  const bytes = (async function* () {
    yield Buffer.from(text)
  })()
  if ((await files.create(name, bytes, watch)) !== 'no-directory') return
  const directory = `${path.rootPath}/${directoryOf(name)}`.replace(/\/$/, '')
  throw new PgarchError('unusable', `path "${path.name}": there is no "${directory}"`, {
    hint: 'Create it, owned by the user that pgarch uses there; or mount its disk.',
  })
}

function directoryOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('/'), 0))
}
