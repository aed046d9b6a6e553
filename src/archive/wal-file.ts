import { createReadStream } from 'node:fs'
import { access, open, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import type { Member } from '../postgres/member.ts'
import type { Claim } from '../schedule/types.ts'
import type { Content, Digest } from '../stores/store.ts'
import { checkBackupHistory } from '../wal/backup-history.ts'
import { parseWalName, type WalName } from '../wal/names.ts'
import { checkSegmentHeader, longHeaderSize } from '../wal/page-header.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import { chunkSize, type Reading, readOnce } from './read-once.ts'

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

/**
 * The stage *check*. Rejects with `refused` when the file is not this cluster's, whole, and so named, and
 * with `unusable` when it cannot be read.
 *
 * @param reading how its bytes are hashed and compressed
 */
export async function checkWalFile(
  path: string,
  name: string,
  member: Member,
  reading: Reading,
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
    const { size, sha256, ...frame } = await examine(path, walName, member, reading)
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

async function examine(path: string, walName: WalName, member: Member, reading: Reading) {
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
    const read = await readOnce(file, size, reading)
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
