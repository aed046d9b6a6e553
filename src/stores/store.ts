import type { NameSettings } from '../dns/ask.ts'
import type { Hashing } from './hashing.ts'

/** One archive path, as a store needs to know it. */
export interface PathDescription {
  readonly id: number
  /** What `pgarch-path` at the root must carry: no other path, of any scheduling database, has it. */
  readonly uuid: string
  readonly name: string
  readonly kind: 'sftp' | 'local'
  /** DNS name or address; null for a local path. */
  readonly sshHost: string | null
  readonly sshPort: number | null
  readonly sshUser: string | null
  /** Pinned host key, `ssh-ed25519 AAAA..`: key type and base64, as in known_hosts; null for a local path. */
  readonly hostKey: string | null
  /** Absolute. */
  readonly rootPath: string
  /** Bytes that a put leaves free; 0: it writes for as long as there is space. */
  readonly reserveBytes: number
}

/** How a store connects and how long it waits. Times in milliseconds. */
export interface StoreOptions {
  /** Private key file; without one the agent and the usual keys in ~/.ssh are tried. */
  readonly identity: string | undefined
  readonly connectTimeout: number
  /** A transfer that moves no byte for this long is given up. */
  readonly stallTimeout: number
  /** The whole put or get of one file. */
  readonly transferTimeout: number
  /** zstd level of files that are put, 1 to 19. */
  readonly compressionLevel: number
  /** For files that are got; undefined: where it is asked for. */
  readonly hashing?: Hashing | undefined
  /** Where the path's host is a name. */
  readonly names?: NameSettings
}

/** A WAL file's identity: what its stored file carries in its trailer. */
export interface Digest {
  /** The WAL file's own name, without directory or `.zst`. */
  readonly walName: string
  /** Size of the WAL file, uncompressed, in bytes. */
  readonly size: number
  /** Of the WAL file, uncompressed; 64 lower-case hex digits. */
  readonly sha256: string
  /** As PostgreSQL prints it: an unsigned 64-bit decimal. */
  readonly systemIdentifier: string
}

/** A digest that was read from a trailer, and not compared with the content. */
export interface Inspection extends Digest {
  /** Size of the stored file, in bytes. */
  readonly storedBytes: number
}

/** What `pgarch-path` says of the path that claimed a root. */
export interface PathClaim {
  readonly uuid: string
  /** Its number in the scheduling database that added it; roots of older versions do not tell. */
  readonly id: number | undefined
}

/**
 * The WAL file's bytes, uncompressed; can be opened more than once. A chunk that was yielded is never
 * written to again: it may be compressed while the next one is read.
 */
export interface Content {
  open(): AsyncIterable<Uint8Array>
  /** The same, compressed when it was read for its digest, see compress.ts: it need not be opened. */
  readonly frame?: readonly Uint8Array[]
}

/** A stored file, as its bytes were found to be. */
export interface Examined {
  readonly digest: Digest
  readonly storedBytes: number
  /** When it was written, by the clock of the machine that keeps it. */
  readonly storedTime: Date
}

export interface Probe {
  /** Bytes that an unprivileged user can still write; undefined where the server does not say. */
  readonly freeBytes: number | undefined
  /** Without those that only root may write, as df reckons. */
  readonly totalBytes: number | undefined
}

/**
 * What pgarch asks of a place for archived files. Names are relative to the path's root, with `/`;
 * see stored-file.ts for how they are made. Every call rejects with a PgarchError whose message
 * names the path: `unreachable` (no connection, no progress, deadline), `unusable` (wrong or missing
 * `pgarch-path`, no space, no permission, read-only), `conflict`, `damaged`. An aborted signal
 * rejects with the signal's reason.
 */
export interface Store {
  readonly path: PathDescription
  /** The connection has ended, and every call would reject. */
  readonly isLost: boolean
  /**
   * Its host's name leads elsewhere by now: what is on its way goes on, what comes next is for another
   * connection.
   */
  readonly hasMoved: boolean
  /**
   * Resolves once durable. Never replaces: other content under the name rejects with `conflict`,
   * bytes there that do not verify with `damaged`. `already-stored` is judged from the stored bytes.
   * `unusable` when the file, uncompressed, would eat into the path's reserve of free space.
   */
  put(
    name: string,
    content: Content,
    digest: Digest,
    signal?: AbortSignal,
  ): Promise<{ outcome: 'stored' | 'already-stored'; storedBytes: number }>
  /**
   * Writes the WAL file, uncompressed and verified against its own trailer, to the local file
   * `destination`, which it creates (it must not exist) and removes again on failure. Not fsynced.
   * A path that hangs may get at its removal only after the call rejected: use a fresh name each time.
   * 'absent': the path answered, is the right one, and has no such file. Anything unclear rejects.
   */
  get(name: string, destination: string, signal?: AbortSignal): Promise<Digest | 'absent'>
  /**
   * Writes at `at`, over whatever lies there and behind, and fsyncs; resolves once durable. At 0 the file
   * is made, or begun anew; else it must be there with `at` bytes at least, or it rejects with `damaged`.
   * For files that grow, which have one writer: what a call that rejected wrote may come later still, so
   * that its file must not be appended to any more. `unusable` as with `put`; at 0 no file is left then.
   */
  append(name: string, at: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Gives `use` a file's bytes as they lie there; absence as with `get`. */
  read<Result>(
    name: string,
    use: (bytes: AsyncIterable<Uint8Array>) => Promise<Result>,
  ): Promise<Result | 'absent'>
  /**
   * Files below a directory, recursively, names relative to the root, in no order; a missing directory
   * is empty. Symbolic links are not followed, and what is being written is not listed.
   */
  list(directory: string): AsyncIterable<{ name: string; size: number }>
  /** Reads all of a stored file, and verifies it; absence as with `get`. */
  examine(name: string): Promise<Examined | 'absent'>
  /** A text file of 4096 bytes at most, such as a manifest; absence as with `get`. */
  readText(name: string): Promise<string | 'absent'>
  /** The fingerprints of the clusters that have a directory here, in no order. */
  clusters(): Promise<string[]>
  /**
   * Gives a stored file with this content a name that nothing takes for WAL and `list` passes over, and
   * frees its own; resolves with the new name once durable. Nothing is replaced or deleted, and it can be
   * repeated. Other content under the name rejects with `conflict`, and stays. 'absent': it is under
   * neither name.
   */
  setAside(name: string, sha256: string): Promise<string | 'absent'>
  /**
   * What a stored file's trailer says, without reading the rest: enough to know what it claims to be,
   * not whether it is. Absence as with `get`; without a valid trailer of this name it rejects with
   * `damaged`.
   */
  inspect(name: string): Promise<Inspection | 'absent'>
  /**
   * Writes a small text file, 4096 bytes at most, into a directory that is there; resolves once
   * durable. Never replaces: 'exists' says nothing of the content.
   */
  putText(name: string, text: string): Promise<'stored' | 'exists'>
  /** Removing what is not there succeeds. */
  remove(name: string): Promise<void>
  /**
   * Writes `pgarch-path` at the root, durably, without replacing one; resolves when the root carries
   * this path's uuid. A root that carries another's rejects with `unusable`. Only for a store opened
   * with `unclaimed`: every other call on any other store checks `pgarch-path` first.
   */
  claim(): Promise<void>
  /** Whose the root is by its `pgarch-path`, if it has one. Only for a store opened with `unclaimed`. */
  readClaim(): Promise<PathClaim | undefined>
  /** Proves that it can connect, is the right path, and can write, fsync, link and refuse to overwrite. */
  probe(): Promise<Probe>
  close(): Promise<void>
}
