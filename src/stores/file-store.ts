import { PgarchError } from '../errors.ts'
import type { FileAccess } from './file-access.ts'
import { checkPathFile, claimPath, tryOut } from './path-file.ts'
import { ancestors, publish } from './publish.ts'
import { proveAbsent, retrieve } from './retrieve.ts'
import type { Content, Digest, PathDescription, Probe, Store, StoreOptions } from './store.ts'
import { isTemporary } from './temporary-files.ts'
import { type Watch, watched } from './watch.ts'

/** The store, on whatever gives access to files: all of its promises are kept here, once. */
export class FileStore implements Store {
  readonly path: PathDescription
  readonly #files: FileAccess
  readonly #options: StoreOptions
  readonly #unclaimed: boolean
  readonly #knownDirectories = new Set<string>()

  constructor(path: PathDescription, files: FileAccess, options: StoreOptions, unclaimed: boolean) {
    this.path = path
    this.#files = files
    this.#options = options
    this.#unclaimed = unclaimed
  }

  async put(name: string, content: Content, digest: Digest, signal?: AbortSignal) {
    checkName(name)
    const publication = {
      files: this.#files,
      path: this.path,
      name,
      content,
      digest,
      compressionLevel: this.#options.compressionLevel,
      knownDirectories: this.#knownDirectories,
      temporaryAge: 600 + (2 * this.#options.transferTimeout) / 1000,
    }
    return await this.#watched((watch) => publish(publication, watch), signal)
  }

  async get(name: string, destination: string, signal?: AbortSignal) {
    checkName(name)
    const retrieval = { files: this.#files, path: this.path, name, destination }
    return await this.#watched((watch) => retrieve(retrieval, watch), signal)
  }

  async *list(directory: string): AsyncGenerator<{ name: string; size: number }, void> {
    if (directory !== '') checkName(directory)
    const entries = await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const found = await watch.step(this.#files.entries(directory, (one) => !isTemporary(one)))
      if (found !== 'absent') return found
      await proveAbsent(this.#files, this.path, directory, watch)
      return []
    })
    for (const entry of entries) {
      const name = directory === '' ? entry.name : `${directory}/${entry.name}`
      if (entry.kind === 'directory') yield* this.list(name)
      else if (entry.kind === 'file') yield { name, size: entry.size }
    }
  }

  async remove(name: string): Promise<void> {
    checkName(name)
    await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      if ((await watch.step(this.#files.look(name))) === 'absent') return
      await watch.step(this.#files.unlink(name))
      const [directory = ''] = ancestors(name)
      await watch.unhurried(this.#files.sync(directory))
    })
  }

  async claim(): Promise<void> {
    if (!this.#unclaimed) throw new Error('claim() is for a store opened with `unclaimed`')
    await this.#watched((watch) => claimPath(this.#files, this.path, watch))
  }

  async probe(): Promise<Probe> {
    return await this.#watched(async (watch) => {
      const options = { unclaimed: this.#unclaimed }
      await watch.step(checkPathFile(this.#files, this.path, options))
      await tryOut(this.#files, this.path, watch)
      return await watch.step(this.#files.space())
    })
  }

  async close(): Promise<void> {
    await this.#files.close()
  }

  #watched<Result>(work: (watch: Watch) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    const { stallTimeout, transferTimeout } = this.#options
    const abandon = () => this.#files.abandon()
    const pathName = this.path.name
    return watched({ pathName, stallTimeout, transferTimeout, signal, abandon }, work)
  }
}

/** Names may come from tables: none leads out of the root. */
function checkName(name: string): void {
  const parts = name.split('/')
  if (parts.some((part) => ['', '.', '..'].includes(part)) || name.includes('\0')) {
    throw new PgarchError('refused', `"${name}" is not a name within a path`)
  }
}
