import type { FileEntryWithStats, Stats } from 'ssh2'
import { inChunksUpTo } from './chunks.ts'
import type { Entry, FileAccess } from './file-access.ts'
import type { SftpConnection } from './sftp-connection.ts'
import { explain, isStatus, isUnsupported, status } from './sftp-failure.ts'
import type { PathDescription, Probe } from './store.ts'
import type { Watch } from './watch.ts'

/** The most that OpenSSH's server takes in one request, beside the request's own fields: 255 KiB. */
const requestSize = 255 * 1024
const requestsInFlight = 16
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
    const buffer = Buffer.alloc(smallFile)
    const reading = this.#attempt('read', name, () =>
      this.#connection.request<number>((sftp, callback) =>
        sftp.read(handle, buffer, 0, buffer.length, 0, callback),
      ),
    )
    const [size] = await Promise.all([reading, this.#close(handle)])
    return buffer.toString('utf8', 0, size)
  }

  async *read(
    name: string,
    { start, end }: { start: number; end: number },
    watch: Watch,
  ): AsyncGenerator<Uint8Array, void> {
    const handle = await this.#attempt('open', name, (path) => watch.step(this.#open(path, 'r')))
    const inFlight: Promise<Buffer>[] = []
    try {
      for (let position = start; position < end || inFlight.length > 0; ) {
        watch.signal.throwIfAborted()
        while (position < end && inFlight.length < requestsInFlight) {
          const length = Math.min(requestSize, end - position)
          inFlight.push(quiet(watch.step(this.#readAt(handle, position, length))))
          position += length
        }
        const chunk = inFlight.shift() as Promise<Buffer>
        yield await this.#attempt('read', name, () => chunk)
      }
    } finally {
      void this.#close(handle) // nothing depends on it
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
    let size = 0
    let closing: Promise<void> | undefined
    try {
      const inFlight: Promise<void>[] = []
      const oldest = () => this.#attempt('write', name, () => inFlight.shift() as Promise<void>)
      for await (const chunk of inChunksUpTo(requestSize, bytes)) {
        watch.signal.throwIfAborted()
        if (inFlight.length === requestsInFlight) await oldest()
        inFlight.push(quiet(watch.step(this.#writeAt(handle, size, chunk))))
        size += chunk.length
      }
      // The server works in order: these two need not wait until it has answered the writes.
      const syncing = quiet(this.#sync(handle))
      closing = this.#close(handle)
      while (inFlight.length > 0) await oldest()
      await this.#attempt('fsync', name, () => watch.unhurried(syncing))
    } finally {
      await (closing ?? this.#close(handle))
    }
    return size
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
    let closing: Promise<void> | undefined
    try {
      return await this.#attempt('append to', name, async () => {
        const { size } = at === 0 ? { size: 0 } : await watch.step(this.#stat(handle))
        if (size < at) return 'too-short'
        watch.signal.throwIfAborted()
        const end = at + bytes.length
        const requests: Promise<void>[] = []
        for (let start = 0; start < bytes.length; start += requestSize) {
          if (requests.length >= requestsInFlight) await requests.at(-requestsInFlight)
          const chunk = bytes.subarray(start, start + requestSize)
          requests.push(quiet(watch.step(this.#writeAt(handle, at + start, chunk))))
        }
        if (size > end) requests.push(quiet(watch.step(this.#cutOff(handle, end))))
        // As in `create`: the server works in order.
        const syncing = quiet(this.#sync(handle))
        closing = this.#close(handle)
        for (const request of requests) await request
        await watch.unhurried(syncing)
        return 'extended'
      })
    } finally {
      await (closing ?? this.#close(handle))
    }
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
      await Promise.all([this.#sync(handle), this.#close(handle)])
    })
  }

  async space(): Promise<Probe> {
    try {
      const { f_bavail, f_blocks, f_frsize } = await this.#connection.request<
        Record<string, number>
      >((sftp, callback) => sftp.ext_openssh_statvfs(this.#path.rootPath, callback))
      return { freeBytes: product(f_bavail, f_frsize), totalBytes: product(f_blocks, f_frsize) }
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

  #open(path: string, flags: 'r' | 'r+' | 'w' | 'wx', mode?: number): Promise<Buffer> {
    const attributes = mode === undefined ? {} : { mode }
    return this.#connection.request((sftp, callback) =>
      sftp.open(path, flags, attributes, callback),
    )
  }

  /** A file that was read, or is fsynced, is safe whatever its close says. */
  async #close(handle: Buffer): Promise<void> {
    await quiet(this.#connection.request((sftp, callback) => sftp.close(handle, callback))).catch(
      () => {},
    )
  }

  #sync(handle: Buffer): Promise<void> {
    return this.#connection.request((sftp, callback) => sftp.ext_openssh_fsync(handle, callback))
  }

  #stat(handle: Buffer): Promise<Stats> {
    return this.#connection.request<Stats>((sftp, callback) => sftp.fstat(handle, callback))
  }

  #cutOff(handle: Buffer, size: number): Promise<void> {
    return this.#connection.request((sftp, callback) => sftp.fsetstat(handle, { size }, callback))
  }

  #writeAt(handle: Buffer, position: number, chunk: Uint8Array): Promise<void> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    return this.#connection.request((sftp, callback) =>
      sftp.write(handle, bytes, 0, bytes.length, position, callback),
    )
  }

  /** Shorter than asked for only where the file ends. */
  async #readAt(handle: Buffer, position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const read = await this.#connection.request<number>((sftp, callback) =>
        sftp.read(handle, buffer, filled, length - filled, position + filled, callback),
      )
      if (read === 0) break
      filled += read
    }
    return buffer.subarray(0, filled)
  }

  #absolute(name: string): string {
    return name === '' ? this.#path.rootPath : `${this.#path.rootPath}/${name}`
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

/** It is awaited in its turn; one that fails before, while another's failure is handled, is no bug. */
function quiet<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {})
  return promise
}

function entryOf(name: string, stats: Stats): Entry {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other'
  return { name, kind, size: stats.size, modified: stats.mtime }
}

function product(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a * b
}
