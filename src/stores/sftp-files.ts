import type { FileEntryWithStats, Stats } from 'ssh2'
import type { Entry, FileAccess } from './file-access.ts'
import type { SftpConnection } from './sftp-connection.ts'
import { explain, isStatus, isUnsupported, status } from './sftp-failure.ts'
import { SftpHandle } from './sftp-handle.ts'
import { type Attempt, fill, readAhead } from './sftp-transfer.ts'
import type { PathDescription, Probe } from './store.ts'
import type { Watch } from './watch.ts'

/** A server gives as much in one answer. */
const smallFile = 4096

/** A path behind an OpenSSH server, by its SFTP extensions for fsync, hard links and free space. */
export class SftpFiles implements FileAccess {
  /** draft-ietf-secsh-filexfer-02, section 6, leaves it open; OpenSSH's server takes one by one. */
  readonly keepsOrder = true
  readonly #path: PathDescription
  readonly #connection: SftpConnection

  constructor(path: PathDescription, connection: SftpConnection) {
    this.#path = path
    this.#connection = connection
  }

  get isLost(): boolean {
    return this.#connection.isLost
  }

  get hasMoved(): boolean {
    return this.#connection.hasMoved
  }

  async look(name: string): Promise<Entry | 'absent'> {
    const stats = await this.#unlessAbsent('look at', name, (path) =>
      this.#connection.request<Stats>((sftp, callback) => sftp.lstat(path, callback)),
    )
    return stats === 'absent' ? stats : entryOf(name.slice(name.lastIndexOf('/') + 1), stats)
  }

  async entries(directory: string, wanted: (name: string) => boolean): Promise<Entry[] | 'absent'> {
    const found = await this.#unlessAbsent('list directory', directory, (path) =>
      this.#connection.request<FileEntryWithStats[]>((sftp, callback) =>
        sftp.readdir(path, callback),
      ),
    )
    if (found === 'absent') return 'absent'
    return found
      .filter(({ filename }) => wanted(filename))
      .map(({ filename, attrs }) => entryOf(filename, attrs))
  }

  async readText(name: string): Promise<string | 'absent'> {
    const handle = await this.#unlessAbsent('open', name, (path) => this.#open(path, 'r'))
    if (handle === 'absent') return 'absent'
    const reading = this.#attempt('read', name, () => handle.readOnce(smallFile))
    const [bytes] = await Promise.all([reading, handle.close()])
    return bytes.toString('utf8')
  }

  async *read(
    name: string,
    { start, end }: { start: number; end: number },
    watch: Watch,
  ): AsyncGenerator<Uint8Array, void> {
    const handle = await this.#attempt('open', name, (path) => watch.step(this.#open(path, 'r')))
    try {
      yield* readAhead(handle, { start, end }, watch, this.#attemptsOn(name))
    } finally {
      void handle.close() // nothing depends on it
    }
  }

  async create(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    watch: Watch,
  ): Promise<number | 'no-directory'> {
    const handle = await this.#unlessAbsent('create', name, (path) =>
      watch.step(this.#open(path, 'wx', 0o640)),
    )
    if (handle === 'absent') return 'no-directory'
    return await fill(handle, { start: 0, before: 0 }, bytes, watch, this.#attemptsOn(name))
  }

  async extend(
    name: string,
    at: number,
    bytes: Uint8Array,
    watch: Watch,
  ): Promise<'extended' | 'absent' | 'too-short'> {
    const handle = await this.#unlessAbsent('open', name, (path) =>
      watch.step(this.#open(path, at === 0 ? 'w' : 'r+', 0o640)),
    )
    if (handle === 'absent') return 'absent'
    const before = at === 0 ? 0 : await this.#sizeOf(handle, name, watch)
    if (before < at) {
      await handle.close()
      return 'too-short'
    }
    await fill(handle, { start: at, before }, [bytes], watch, this.#attemptsOn(name))
    return 'extended'
  }

  async link(existing: string, name: string): Promise<'linked' | 'exists'> {
    try {
      await this.#connection.request((sftp, callback) =>
        sftp.ext_openssh_hardlink(this.#absolute(existing), this.#absolute(name), callback),
      )
      return 'linked'
    } catch (thrown) {
      // The server says no more than "Failure" when the name is taken.
      if (isStatus(thrown, status.failure) && (await this.look(name)) !== 'absent') return 'exists'
      throw await this.#explained('link', name, thrown)
    }
  }

  async unlink(name: string): Promise<void> {
    await this.#unlessAbsent('remove', name, (path) =>
      this.#connection.request((sftp, callback) => sftp.unlink(path, callback)),
    )
  }

  async makeDirectory(name: string): Promise<void> {
    const path = this.#absolute(name)
    try {
      await this.#connection.request((sftp, callback) =>
        sftp.mkdir(path, { mode: 0o750 }, callback),
      )
    } catch (thrown) {
      if (isStatus(thrown, status.failure) && (await this.look(name)) !== 'absent') return
      throw await this.#explained('make directory', name, thrown)
    }
  }

  async sync(name: string): Promise<void> {
    await this.#attempt('fsync', name, async (path) => {
      const handle = await this.#open(path, 'r')
      await Promise.all([handle.sync(), handle.close()])
    })
  }

  async space(): Promise<Probe> {
    try {
      const { f_bavail, f_bfree, f_blocks, f_frsize } = await this.#connection.request<
        Record<'f_bavail' | 'f_bfree' | 'f_blocks' | 'f_frsize', number>
      >((sftp, callback) => sftp.ext_openssh_statvfs(this.#path.rootPath, callback))
      const usable = f_blocks - f_bfree + f_bavail
      return { freeBytes: f_bavail * f_frsize, totalBytes: usable * f_frsize }
    } catch (thrown) {
      if (isUnsupported(thrown)) return { freeBytes: undefined, totalBytes: undefined }
      throw await this.#explained('look at', '', thrown)
    }
  }

  abandon(): void {
    this.#connection.destroy()
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  /** Of one that stays open, unless it cannot be told. */
  async #sizeOf(handle: SftpHandle, name: string, watch: Watch): Promise<number> {
    try {
      return await this.#attempt('look at', name, () => watch.step(handle.size()))
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  }

  #open(path: string, flags: 'r' | 'r+' | 'w' | 'wx', mode?: number): Promise<SftpHandle> {
    return SftpHandle.open(this.#connection, path, flags, mode)
  }

  #absolute(name: string): string {
    return name === '' ? this.#path.rootPath : `${this.#path.rootPath}/${name}`
  }

  #attemptsOn(name: string): Attempt {
    return (action, work) => this.#attempt(action, name, work)
  }

  async #attempt<Result>(
    action: string,
    name: string,
    work: (absolute: string) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work(this.#absolute(name))
    } catch (thrown) {
      throw await this.#explained(action, name, thrown)
    }
  }

  async #unlessAbsent<Result>(
    action: string,
    name: string,
    work: (absolute: string) => Promise<Result>,
  ): Promise<Result | 'absent'> {
    try {
      return await work(this.#absolute(name))
    } catch (thrown) {
      if (isStatus(thrown, status.noSuchFile)) return 'absent'
      throw await this.#explained(action, name, thrown)
    }
  }

  #explained(action: string, name: string, thrown: unknown): Promise<unknown> {
    const what = `could not ${action} "${this.#absolute(name)}"`
    return explain(this.#connection, this.#path, what, thrown)
  }
}

function entryOf(name: string, stats: Stats): Entry {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other'
  return { name, kind, size: stats.size, modified: stats.mtime }
}
