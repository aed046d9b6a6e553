import { open, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describeError, PgarchError } from '../errors.ts'
import { removeIfThere } from '../fs/durable.ts'
import { fileError } from '../fs/errors.ts'
import { namesIn } from '../fs/folder.ts'
import type { Digest } from '../stores/store.ts'
import { parseWalName } from '../wal/names.ts'
import { checkSegmentHeader, longHeaderSize } from '../wal/page-header.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'

/** What a copy must be to be placed. */
export interface Expected {
  readonly walName: string
  readonly systemIdentifier: string
  /** Bytes; null: nobody says, and the segment's own size is as good as its header says. */
  readonly walSegmentSize: number | null
  /** What was archived under this name, where the scheduling database knows; else null. */
  readonly sha256: string | null
}

/**
 * The stage *verify*: the fetched file, whose bytes agree with its own trailer, must also be the one
 * that was asked for. Rejects with `damaged`.
 */
export async function verify(path: string, digest: Digest, expected: Expected): Promise<void> {
  const wrong = (what: string) =>
    new PgarchError('damaged', `the copy of "${expected.walName}" ${what}`)
  if (digest.walName !== expected.walName) throw wrong(`is that of "${digest.walName}"`)
  if (digest.systemIdentifier !== expected.systemIdentifier) {
    throw wrong(`is of the cluster with system identifier ${digest.systemIdentifier}`)
  }
  if (expected.sha256 !== null && digest.sha256 !== expected.sha256) {
    throw wrong('has other content than was archived')
  }
  try {
    await checkContent(path, digest.size, expected)
  } catch (error) {
    throw wrong(`is not valid: ${describeError(error)}`)
  }
}

async function checkContent(path: string, size: number, expected: Expected): Promise<void> {
  const walName = parseWalName(expected.walName)
  if (walName?.kind === 'history') {
    parseTimelineHistory(await readFile(path, 'utf8'), walName.timeline)
  } else if (walName?.kind === 'segment' || walName?.kind === 'partial') {
    const file = await open(path)
    try {
      const header = Buffer.alloc(longHeaderSize)
      await file.read(header, 0, longHeaderSize, 0)
      const walSegmentSize = expected.walSegmentSize ?? size
      checkSegmentHeader(header, { ...expected, walSegmentSize, name: walName, size })
    } finally {
      await file.close()
    }
  }
}

/** The stage *place*: %p appears whole or not at all. PostgreSQL syncs it when it takes it over. */
export async function place(temporary: string, walPath: string): Promise<void> {
  await rename(temporary, walPath).catch((thrown) => {
    throw fileError('place', walPath, thrown)
  })
}

let copies = 0

/**
 * A name beside %p for a copy in the making: on the same file system, none that PostgreSQL reads, and
 * used once, as a get that hung and was given up may still remove its own.
 */
export function temporaryName(walPath: string): string {
  return `${walPath}.pgarch-${process.pid}-${++copies}.tmp`
}

/** Removes what calls that were killed left beside %p: PostgreSQL runs one at a time for it. */
export async function removeLeftovers(walPath: string): Promise<void> {
  const directory = dirname(walPath)
  const start = `${basename(walPath)}.pgarch-`
  for (const name of await namesIn(directory)) {
    if (name.startsWith(start) && name.endsWith('.tmp')) await removeIfThere(join(directory, name))
  }
}
