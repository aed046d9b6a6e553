import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, type FileHandle, open, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import type { Member } from '../postgres/member.ts'
import type { Claim } from '../schedule/types.ts'
import { openCompressor } from '../stores/compress.ts'
import type { Content, Digest } from '../stores/store.ts'
import { checkBackupHistory } from '../wal/backup-history.ts'
import { parseWalName, type WalName } from '../wal/names.ts'
import { checkSegmentHeader, longHeaderSize } from '../wal/page-header.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'

/** A file that PostgreSQL handed over, found to be what its name says. */
export interface WalFile {
  readonly digest: Digest
  readonly content: Content
  /** The whole file, for timeline history files only. */
  readonly history: Buffer | null
}

const permissionHint = 'pgarch runs in the data directory, as the user that the server runs as.'

const wordsHint = "archive_command must be given PostgreSQL's %p and %f: 'pgarch push %p %f'."

/** Larger than any timeline history or backup history file that PostgreSQL writes by far. */
const largestText = 1024 * 1024

const chunkSize = 1024 * 1024

/** A larger one, of a cluster with larger segments, is read twice, and not kept in memory. */
const largestKept = 16 * 1024 * 1024

/**
 * The stage *check*. Rejects with `refused` when the file is not this cluster's, whole, and so named, and
 * with `unusable` when it cannot be read.
 *
 * @param level of zstd, for the content's frame
 */
export async function checkWalFile(
  path: string,
  name: string,
  member: Member,
  level: number,
): Promise<WalFile> {
  const walName = parseWalName(name)
  if (walName === undefined) {
    throw new PgarchError('refused', `"${name}" is not the name of a WAL file`, {
      hint: wordsHint,
    })
  }
  if (basename(path) !== name) {
    throw new PgarchError('refused', `"${path}" is not named "${name}"`, { hint: wordsHint })
  }
  try {
    const { size, sha256, ...frame } = await examine(path, walName, member, level)
    return {
      digest: { walName: name, size, sha256, systemIdentifier: member.systemIdentifier },
      content: { open: () => createReadStream(path, { highWaterMark: chunkSize }), ...frame },
      history: walName.kind === 'history' ? await readFile(path) : null,
    }
  } catch (thrown) {
    throw fileError('read WAL file', path, thrown)
  }
}

/**
 * Whether it is a backup history file that a crash emptied: the server does not fsync it. What it had
 * to say may have been archived before, and is not to be had here any more.
 */
export function isEmptied({ digest }: WalFile): boolean {
  return digest.size === 0 && parseWalName(digest.walName)?.kind === 'backup'
}

/** What the scheduling database is to know of it. */
export function claimOf({ digest, history }: WalFile): Claim {
  return { walName: digest.walName, sha256: digest.sha256, walSize: digest.size, history }
}

async function examine(path: string, walName: WalName, member: Member, level: number) {
  const file = await open(path).catch((thrown: unknown) => {
    throw fileError('open WAL file', path, thrown, permissionHint)
  })
  try {
    await requireFinished(path)
    const { size } = await file.stat()
    if (walName.kind === 'history' || walName.kind === 'backup') {
      if (size > largestText) {
        throw new PgarchError(
          'refused',
          `"${path}" has ${size} bytes, too many for what it is named`,
        )
      }
      const text = await file.readFile('utf8')
      if (walName.kind === 'history') parseTimelineHistory(text, walName.timeline)
      else checkBackupHistory(text, walName)
    } else {
      const header = Buffer.alloc(longHeaderSize)
      await file.read(header, 0, longHeaderSize, 0)
      checkSegmentHeader(header, { ...member, name: walName, size })
    }
    const read = size > largestKept ? await hash(path) : await hashAndCompress(file, level)
    if (read.size === size) return read
    throw new PgarchError('refused', `WAL file "${path}" changed while it was read`)
  } finally {
    await file.close()
  }
}

/**
 * PostgreSQL makes FILE.ready once it is done with a file, before it calls archive_command, and renames
 * it to FILE.done afterwards (xlogarchive.c). Looked for before the file is read: one that it still
 * writes to, pushed by hand, would be claimed half-filled, and stand in the whole one's way.
 */
async function requireFinished(path: string): Promise<void> {
  const status = join(dirname(path), 'archive_status', basename(path))
  for (const mark of [`${status}.ready`, `${status}.done`]) {
    try {
      await access(mark)
      return
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT')) throw fileError('look at', mark, thrown, permissionHint)
    }
  }
  throw new PgarchError('refused', `PostgreSQL has not released "${path}" for archiving`, {
    hint: `There is no "${status}.ready" and no ".done": the server may still be writing to it.`,
  })
}

/** Size and sha256 of the same reading, so that they belong together whatever happens to the file. */
async function hash(path: string): Promise<{ size: number; sha256: string }> {
  const sha256 = createHash('sha256')
  let size = 0
  for await (const chunk of createReadStream(path, { highWaterMark: chunkSize })) {
    sha256.update(chunk)
    size += chunk.length
  }
  return { size, sha256: sha256.digest('hex') }
}

/** Buffers that were used before: fresh memory costs about as much as reading into it. */
const unused: Buffer[] = []
/** One is read while another is hashed, and two are compressed. */
const buffersAFile = 3

/** All in one reading, while the bytes are in the processor's cache. */
async function hashAndCompress(file: FileHandle, level: number) {
  const sha256 = createHash('sha256')
  const compressor = openCompressor(level)
  const compressing: Promise<void>[] = []
  let size = 0
  try {
    for (;;) {
      if (compressing.length === buffersAFile) await compressing.shift()
      const buffer = unused.pop() ?? Buffer.allocUnsafeSlow(chunkSize)
      const { bytesRead } = await file.read(buffer, 0, chunkSize, size)
      const chunk = buffer.subarray(0, bytesRead)
      const done = compressor.write(chunk).then(() => void unused.push(buffer))
      done.catch(() => {}) // it is awaited in its turn
      compressing.push(done)
      if (bytesRead === 0) break
      sha256.update(chunk)
      size += bytesRead
    }
    await Promise.all(compressing)
    return { size, sha256: sha256.digest('hex'), frame: await compressor.end() }
  } finally {
    compressor.destroy()
  }
}
