import type { Probe } from './store.ts'
import type { Watch } from './watch.ts'

/** What a name stands for, itself: a symbolic link is `other`. */
export interface Entry {
  /** Without its directory. */
  readonly name: string
  readonly kind: 'file' | 'directory' | 'other'
  /** Bytes. */
  readonly size: number
  /** Seconds since the epoch, by the clock of the machine that keeps the files. */
  readonly modified: number
}

/**
 * The few things that a store needs of a file system, local or behind SFTP. Names are relative to the
 * path's root; '' is the root. Everything that is not a value here rejects with a PgarchError,
 * `unreachable` or `unusable`, that names the path. No method looks at `pgarch-path`.
 */
export interface FileAccess {
  /** Whether calls take effect in the order in which they are made, also while others are unanswered. */
  readonly keepsOrder: boolean
  /** See Store. */
  readonly isLost: boolean
  /** See Store. */
  readonly hasMoved: boolean
  /** lstat(2); 'absent' only for ENOENT. Over SFTP, ENOTDIR and ELOOP cannot be told from it. */
  look(name: string): Promise<Entry | 'absent'>
  /** Those whose name is wanted; without `.` and `..`. */
  entries(directory: string, wanted: (name: string) => boolean): Promise<Entry[] | 'absent'>
  /** A text file of 4096 bytes at most. */
  readText(name: string): Promise<string | 'absent'>
  /** The bytes from `start` to before `end`, read ahead; ends early where the file does. */
  read(
    name: string,
    range: { readonly start: number; readonly end: number },
    watch: Watch,
  ): AsyncIterable<Uint8Array>
  /**
   * Creates a file, writes all bytes and fsyncs it; resolves with their number. Whatever it leaves
   * behind when it rejects is the caller's to unlink. 'no-directory': `bytes` was not touched.
   */
  create(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    watch: Watch,
  ): Promise<number | 'no-directory'>
  /**
   * Writes at `at`, cuts the file off behind, and fsyncs it. At 0 the file is made, and what was in it is
   * gone; 'absent' is then the directory.
   */
  extend(
    name: string,
    at: number,
    bytes: Uint8Array,
    watch: Watch,
  ): Promise<'extended' | 'absent' | 'too-short'>
  /** link(2): never replaces. */
  link(existing: string, name: string): Promise<'linked' | 'exists'>
  /** What is not there is removed already. */
  unlink(name: string): Promise<void>
  /** One that exists is made already. */
  makeDirectory(name: string): Promise<void>
  /** fsync(2) of a file or a directory. */
  sync(name: string): Promise<void>
  /** Of the file system that holds the root, by one statvfs(3). */
  space(): Promise<Probe>
  /** Ends what goes on at once and for good; it rejects with `unreachable` where it can. */
  abandon(): void
  close(): Promise<void>
}
