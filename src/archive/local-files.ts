import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Config } from '../config.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { readLocalArchiveRecord } from '../postgres/local-archive-record.ts'
import { withPath } from '../resources.ts'
import { localArchivePath } from '../stores/local-archive.ts'
import type { PathDescription, Store } from '../stores/store.ts'
import { parseWalName } from '../wal/names.ts'
import type { Archiver } from './identify.ts'

/** A WAL file in the local archive. */
export interface LocalFile {
  readonly walName: string
  /** Of the cluster that it was archived for. */
  readonly fingerprint: string
  readonly storedBytes: number
  readonly fullPath: string
}

/** What lies in the local archive of a data directory, by name; nothing where there is none. */
export async function listLocalArchive({
  stateDirectory,
  config,
}: Pick<Archiver, 'stateDirectory' | 'config'>): Promise<
  (LocalFile & { readonly storedTime: Date })[]
> {
  const known = await readLocalArchiveRecord(stateDirectory)
  if (known === undefined) return []
  const files = await listLocalFiles(localArchivePath(known, config.localReserve), config)
  return (await Promise.all(files.map(withTime))).flat()
}

/** Nothing for a file that was drained in the meantime. */
async function withTime(file: LocalFile): Promise<(LocalFile & { storedTime: Date })[]> {
  try {
    return [{ ...file, storedTime: (await stat(file.fullPath)).mtime }]
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw fileError('look at', file.fullPath, thrown)
  }
}

/** All that lies there, also of clusters that this data directory belonged to before; by name. */
export async function listLocalFiles(path: PathDescription, config: Config): Promise<LocalFile[]> {
  return await withPath(path, config, async (store) => {
    const files: LocalFile[] = []
    for await (const file of filesIn(store)) files.push(file)
    return files.sort((one, other) => (one.walName < other.walName ? -1 : 1))
  })
}

/** In no order, a directory at a time. */
export async function* filesIn(store: Store): AsyncGenerator<LocalFile, void> {
  for (const fingerprint of await store.clusters()) {
    for await (const { name, size: storedBytes } of store.list(fingerprint)) {
      const walName = basename(name, '.zst')
      if (!name.endsWith('.zst') || parseWalName(walName) === undefined) continue
      yield { walName, fingerprint, storedBytes, fullPath: `${store.path.rootPath}/${name}` }
    }
  }
}
