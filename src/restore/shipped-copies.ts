import { type FileHandle, open, rm } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { fileError } from '../fs/errors.ts'
import { writeAll } from '../fs/write-all.ts'
import { readShipped, type ShippedContent } from '../stores/read-shipped.ts'
import {
  parseShippedName,
  type Sought,
  shippedDirectory,
  shippedName,
} from '../stores/shipped-file.ts'
import type { PathDescription, Store } from '../stores/store.ts'
import { askPath } from './ask-path.ts'
import { temporaryName } from './place.ts'
import type { Target } from './target.ts'
import type { Whereabouts } from './whereabouts.ts'

const chunkSize = 1024 * 1024

/** What a shipped file holds of its segment, beside %p. */
export interface ShippedCopy extends ShippedContent {
  readonly file: string
  readonly pathName: string
  /** On the path. */
  readonly name: string
}

/** What one path has: whole copies, and what is in doubt. */
export interface ShippedAnswer {
  readonly copies: readonly ShippedCopy[]
  readonly doubts: readonly PgarchError[]
}

/**
 * Reads all shipped files of a segment on one path; of those that begin one another the longest is left. The
 * caller removes the copies.
 */
export async function shippedCopies(
  segment: string,
  path: PathDescription,
  location: Whereabouts,
  { rests, sources, walPath }: Target,
  config: Config,
  expires: number,
): Promise<ShippedAnswer> {
  const answer = await askPath(path, { rests, sources, expires }, config, (store) =>
    readAll(segment, store, location, walPath),
  )
  return answer instanceof PgarchError ? { copies: [], doubts: [answer] } : answer
}

async function readAll(
  segment: string,
  store: Store,
  location: Whereabouts,
  walPath: string,
): Promise<ShippedAnswer> {
  const { fingerprint, systemIdentifier, walSegmentSize } = location
  const copies: ShippedCopy[] = []
  const doubts: PgarchError[] = []
  try {
    for await (const { name } of store.list(shippedDirectory(fingerprint, segment))) {
      const parsed = parseShippedName(name)
      if (parsed?.segment !== segment) continue
      const sought = { fingerprint, systemIdentifier, segment, walSegmentSize, id: parsed.id }
      try {
        const copy = await readOne(store, sought, temporaryName(walPath))
        if (copy !== 'absent') await keep(copy, copies)
      } catch (error) {
        if (!(error instanceof PgarchError) || error.failure !== 'damaged') throw error
        const message = `path "${store.path.name}": ${error.message}`
        doubts.push(new PgarchError('damaged', message, { cause: error }))
      }
    }
    return { copies, doubts }
  } catch (error) {
    for (const { file } of copies) await rm(file, { force: true })
    throw error
  }
}

/** A connection that was lost often leaves many files: %p's disk shall not have to hold them all. */
async function keep(copy: ShippedCopy, copies: ShippedCopy[]): Promise<void> {
  for (const [index, other] of copies.entries()) {
    const [shorter, longer] = copy.valid < other.valid ? [copy, other] : [other, copy]
    if (!(await begins(shorter, longer))) continue
    copies[index] = longer
    await rm(shorter.file, { force: true })
    return
  }
  copies.push(copy)
}

/** Whether all that the shorter one holds is in the longer one as well. */
export async function begins(shorter: ShippedCopy, longer: ShippedCopy): Promise<boolean> {
  const files: FileHandle[] = []
  try {
    for (const { file } of [shorter, longer]) files.push(await open(file))
    for (let at = 0; at < shorter.valid; at += chunkSize) {
      const size = Math.min(chunkSize, shorter.valid - at)
      const [one, other] = await Promise.all(
        files.map((file) => file.read(Buffer.alloc(size), 0, size, at)),
      )
      if (one === undefined || other === undefined || !one.buffer.equals(other.buffer)) return false
    }
    return true
  } finally {
    for (const file of files) await file.close()
  }
}

/** Absent: it was removed since it was listed. */
async function readOne(
  store: Store,
  sought: Sought,
  destination: string,
): Promise<ShippedCopy | 'absent'> {
  const name = shippedName(sought)
  const file = await open(destination, 'wx', 0o666).catch((thrown: unknown) => {
    throw fileError('create', destination, thrown)
  })
  try {
    const content = await store.read(name, (bytes) =>
      readShipped(bytes, sought, (wal) =>
        writeAll(file, wal).catch((thrown) => {
          throw fileError('write', destination, thrown)
        }),
      ),
    )
    if (content !== 'absent') {
      return { ...content, file: destination, pathName: store.path.name, name }
    }
    await rm(destination, { force: true })
    return 'absent'
  } catch (thrown) {
    await rm(destination, { force: true })
    throw thrown
  } finally {
    await file.close()
  }
}
