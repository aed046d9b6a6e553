import { constants as fs } from 'node:fs'
import { link, lstat, mkdir, open, readdir, readFile, statfs, unlink } from 'node:fs/promises'
import { PgarchError } from '../errors.ts'
import { hasCode, systemMessage } from '../fs/errors.ts'
import { writeAll } from '../fs/write-all.ts'
import type { Entry, FileAccess } from './file-access.ts'
import type { PathDescription, Probe } from './store.ts'
import type { Watch } from './watch.ts'

const chunkSize = 1024 * 1024

/** A path on a file system of this machine. */
export class LocalFiles implements FileAccess {
  readonly keepsOrder: boolean = false
  readonly isLost: boolean = false
  readonly hasMoved: boolean = false
  readonly #path: PathDescription

  constructor(path: PathDescription) {
    this.#path = path
  }

  async look(name: string): Promise<Entry | 'absent'> {
    return await this.#unlessAbsent('look at', name, async (file) => {
      const { size, mtimeMs, ...stats } = await lstat(file)
      const kind = kindOf(stats.mode)
      return { name: name.slice(name.lastIndexOf('/') + 1), kind, size, modified: mtimeMs / 1000 }
    })
  }

  async entries(directory: string, wanted: (name: string) => boolean): Promise<Entry[] | 'absent'> {
    const found = await this.#unlessAbsent('list directory', directory, (file) => readdir(file))
    if (found === 'absent') return 'absent'
    const entries = found
      .filter(wanted)
      .map((name) => this.look(directory === '' ? name : `${directory}/${name}`))
    // What was removed in the meantime is not there.
    return (await Promise.all(entries)).filter((entry) => entry !== 'absent')
  }

  async readText(name: string): Promise<string | 'absent'> {
    return await this.#unlessAbsent('read', name, (file) => readFile(file, 'utf8'))
  }

  async *read(
    name: string,
    { start, end }: { start: number; end: number },
    watch: Watch,
  ): AsyncGenerator<Uint8Array, void> {
    const file = await this.#attempt('open', name, (path) => open(path, 'r'))
    try {
      for (let position = start; position < end; ) {
        watch.signal.throwIfAborted()
        const chunk = Buffer.allocUnsafe(Math.min(chunkSize, end - position))
        const { bytesRead } = await this.#attempt('read', name, () =>
          watch.step(file.read(chunk, 0, chunk.length, position)),
        )
        if (bytesRead === 0) return
        position += bytesRead
        yield chunk.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  async create(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    watch: Watch,
  ): Promise<number | 'no-directory'> {
    const flags = fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL
    const file = await this.#unlessAbsent('create', name, (path) => open(path, flags, 0o640))
    if (file === 'absent') return 'no-directory'
    let size = 0
    try {
      for await (const chunk of bytes) {
        watch.signal.throwIfAborted()
        await this.#attempt('write', name, () => watch.step(writeAll(file, chunk)))
        size += chunk.length
      }
      await this.#attempt('fsync', name, () => watch.unhurried(file.sync()))
    } finally {
      await file.close()
    }
    return size
  }

  async extend(
    name: string,
    at: number,
    bytes: Uint8Array,
    watch: Watch,
  ): Promise<'extended' | 'absent' | 'too-short'> {
    const flags = at === 0 ? fs.O_WRONLY | fs.O_CREAT | fs.O_TRUNC : fs.O_WRONLY
    const file = await this.#unlessAbsent('open', name, (path) => open(path, flags, 0o640))
    if (file === 'absent') return 'absent'
    try {
      return await this.#attempt('append to', name, async () => {
        const { size } = await watch.step(file.stat())
        if (size < at) return 'too-short'
        watch.signal.throwIfAborted()
        await watch.step(writeAll(file, bytes, at))
        if (size > at + bytes.length) await watch.step(file.truncate(at + bytes.length))
        await watch.unhurried(file.sync())
        return 'extended'
      })
    } finally {
      await file.close()
    }
  }

  async link(existing: string, name: string): Promise<'linked' | 'exists'> {
    try {
      await link(this.#absolute(existing), this.#absolute(name))
      return 'linked'
    } catch (thrown) {
      if (hasCode(thrown, 'EEXIST')) return 'exists'
      throw this.#unusable('link', name, thrown)
    }
  }

  async unlink(name: string): Promise<void> {
    await this.#unlessAbsent('remove', name, unlink)
  }

  async makeDirectory(name: string): Promise<void> {
    await this.#attempt('make directory', name, async (path) => {
      try {
        await mkdir(path, 0o750)
      } catch (thrown) {
        if (!hasCode(thrown, 'EEXIST')) throw thrown
      }
    })
  }

  async sync(name: string): Promise<void> {
    await this.#attempt('fsync', name, async (path) => {
      const file = await open(path, 'r')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    })
  }

  async space(): Promise<Probe> {
    const found = await this.#attempt('look at', '', (path) => statfs(path))
    const { bavail, bfree, blocks, bsize } = found
    return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize }
  }

  /** A system call cannot be cut short. */
  abandon(): void {}

  async close(): Promise<void> {}

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
      throw this.#unusable(action, name, thrown)
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
      if (hasCode(thrown, 'ENOENT')) return 'absent'
      throw this.#unusable(action, name, thrown)
    }
  }

  #unusable(action: string, name: string, thrown: unknown): unknown {
    const errno = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).errno : undefined
    if (thrown instanceof PgarchError || errno === undefined) return thrown
    const message = `path "${this.#path.name}": could not ${action} "${this.#absolute(name)}": ${systemMessage(errno)}`
    return new PgarchError('unusable', message, { cause: thrown })
  }
}

function kindOf(mode: number): Entry['kind'] {
  const type = mode & fs.S_IFMT
  return type === fs.S_IFREG ? 'file' : type === fs.S_IFDIR ? 'directory' : 'other'
}
