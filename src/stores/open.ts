import { PgarchError } from '../errors.ts'
import type { FileAccess } from './file-access.ts'
import { FileStore } from './file-store.ts'
import { LocalFiles } from './local-files.ts'
import type { PathDescription, Store, StoreOptions } from './store.ts'

export interface OpenOptions {
  /** The root may lack `pgarch-path` still: for `claim` and `probe` alone. */
  readonly unclaimed?: boolean
}

/** Opens a store for `use`, and closes it whatever becomes of that; see `openStore`. */
export async function withStore<Result>(
  path: PathDescription,
  options: StoreOptions,
  use: (store: Store) => Promise<Result>,
  openOptions: OpenOptions = {},
): Promise<Result> {
  const store = await openStore(path, options, openOptions)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

/**
 * Connects, if need be. Every call on the store looks at `pgarch-path` itself. Rejects with
 * `unreachable`, or with `unusable` when the server's host key or our login is not accepted.
 */
export async function openStore(
  path: PathDescription,
  options: StoreOptions,
  { unclaimed = false }: OpenOptions = {},
): Promise<Store> {
  if (!path.rootPath.startsWith('/')) {
    throw new PgarchError('usage', `path "${path.name}": root "${path.rootPath}" is not absolute`)
  }
  return new FileStore(path, await openFiles(path, options), options, unclaimed)
}

async function openFiles(path: PathDescription, options: StoreOptions): Promise<FileAccess> {
  if (path.kind === 'local') return new LocalFiles(path)
  const [{ SftpConnection }, { SftpFiles }] = await Promise.all([
    import('./sftp-connection.ts'),
    import('./sftp-files.ts'),
  ])
  return new SftpFiles(path, await SftpConnection.open(path, options))
}
