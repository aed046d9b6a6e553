import { PgarchError } from '../errors.ts'
import { append } from './append.ts'
import type { FileAccess } from './file-access.ts'
import { inspect } from './inspect.ts'
import { checkPathFile, claimPath, readPathClaim, tryOut } from './path-file.ts'
import { ancestors, publish } from './publish.ts'
import { readStored } from './read-stored.ts'
import { proveAbsent, retrieve } from './retrieve.ts'
import { isSetAside, setAside } from './set-aside.ts'
import type {
  Content,
  Digest,
  Examined,
  Inspection,
  PathClaim,
  PathDescription,
  Probe,
  Store,
  StoreOptions,
} from './store.ts'
import { isTemporary } from './temporary-files.ts'
import { publishText } from './text-file.ts'
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

  get isLost(): boolean {
    return this.#files.isLost
  }

  get hasMoved(): boolean {
    return this.#files.hasMoved
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
    const { hashing } = this.#options
    const retrieval = { files: this.#files, path: this.path, name, destination, hashing }
    return await this.#watched((watch) => retrieve(retrieval, watch), signal)
  }

  async append(name: string, at: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    checkName(name)
    const knownDirectories = this.#knownDirectories
    const target = { files: this.#files, path: this.path, name, knownDirectories }
    await this.#watched((watch) => append(target, at, bytes, watch), signal)
  }

  async read<Result>(name: string, use: (bytes: AsyncIterable<Uint8Array>) => Promise<Result>) {
    checkName(name)
    return await this.#watched<Result | 'absent'>(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const entry = await watch.step(this.#files.look(name))
      if (entry !== 'absent') {
        return await use(this.#files.read(name, { start: 0, end: entry.size }, watch))
      }
      await proveAbsent(this.#files, this.path, name, watch)
      return 'absent'
    })
  }

  async examine(name: string): Promise<Examined | 'absent'> {
    checkName(name)
    const stored = { files: this.#files, path: this.path, name }
    return await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const entry = await watch.step(this.#files.look(name))
      if (entry === 'absent') {
        await proveAbsent(this.#files, this.path, name, watch)
        return 'absent'
      }
      const digest = await readStored(stored, entry, () => {}, watch)
      return { digest, storedBytes: entry.size, storedTime: new Date(entry.modified * 1000) }
    })
  }

  async readText(name: string): Promise<string | 'absent'> {
    checkName(name)
    return await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const text = await watch.step(this.#files.readText(name))
      if (text === 'absent') await proveAbsent(this.#files, this.path, name, watch)
      return text
    })
  }

  async clusters(): Promise<string[]> {
    return await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const entries = await watch.step(this.#files.entries('', (one) => fingerprint.test(one)))
      await watch.step(checkPathFile(this.#files, this.path))
      const directories =
        entries === 'absent' ? [] : entries.filter((one) => one.kind === 'directory')
      return directories.map(({ name }) => name)
    })
  }

  async setAside(name: string, sha256: string): Promise<string | 'absent'> {
    checkName(name)
    const stored = { files: this.#files, path: this.path, name }
    return await this.#watched((watch) => setAside(stored, sha256, watch))
  }

  async *list(directory: string): AsyncGenerator<{ name: string; size: number }, void> {
    if (directory !== '') checkName(directory)
    const entries = await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      const found = await watch.step(this.#files.entries(directory, isListed))
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

  async inspect(name: string): Promise<Inspection | 'absent'> {
    checkName(name)
    const stored = { files: this.#files, path: this.path, name }
    return await this.#watched((watch) => inspect(stored, watch))
  }

  async putText(name: string, text: string): Promise<'stored' | 'exists'> {
    checkName(name)
    const file = { files: this.#files, path: this.path, name }
    return await this.#watched(async (watch) => {
      await watch.step(checkPathFile(this.#files, this.path))
      return await publishText(file, text, watch)
    })
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

  async readClaim(): Promise<PathClaim | undefined> {
    if (!this.#unclaimed) throw new Error('readClaim() is for a store opened with `unclaimed`')
    return await this.#watched((watch) => watch.step(readPathClaim(this.#files)))
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

const fingerprint = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function isListed(name: string): boolean {
  return !isTemporary(name) && !isSetAside(name)
}

/** Names may come from tables: none leads out of the root. */
function checkName(name: string): void {
  const parts = name.split('/')
  if (parts.some((part) => ['', '.', '..'].includes(part)) || name.includes('\0')) {
    throw new PgarchError('refused', `"${name}" is not a name within a path`)
  }
}
