import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { fileError } from '../fs/errors.ts'
import { writeAll } from '../fs/write-all.ts'
import { log } from '../log.ts'
import { openDataDirectory } from '../postgres/data-directory.ts'
import { noteDelivered } from '../postgres/delivered.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { formatLsn } from '../wal/lsn.ts'
import { parseWalName, type SegmentName, segmentNumber, segmentStart } from '../wal/names.ts'
import { checkSegmentHeader, longHeaderSize } from '../wal/page-header.ts'
import { askArchive } from './ask-archive.ts'
import { place } from './place.ts'
import { doubtful, type Round } from './round.ts'
import { begins, type ShippedCopy, shippedCopies } from './shipped-copies.ts'
import type { Target } from './target.ts'
import { findWhereabouts } from './whereabouts.ts'

const chunkSize = 1024 * 1024

/**
 * Places what was shipped of a segment that is not archived, with zeros behind the last byte that is
 * whole: for a server whose recovery shall end there. Of all shipped files on all paths of the cluster
 * the longest counts, and the others must begin it. In doubt while a path does not answer, as it may
 * have a longer one. The server may ask for the segment again: the answer is the same, or longer. Where
 * nothing was shipped the archive is asked once more, as shipped files go when their segment comes.
 */
export async function deliverShipped(
  walName: string,
  target: Target,
  config: Config,
): Promise<Round> {
  const segment = parseWalName(walName)
  if (segment?.kind !== 'segment') return { outcome: 'absent', doubts: [] }
  const round = await deliver(segment, target, config)
  return round.outcome === 'absent' ? await askArchive(walName, target, config) : round
}

async function deliver(segment: SegmentName, target: Target, config: Config): Promise<Round> {
  const { role } = target
  const { name } = segment
  const expires = role === 'standby' ? performance.now() + config.fetchStandbyDeadline : Infinity
  try {
    const location = await findWhereabouts(name, target, config)
    const answers = await Promise.all(
      location.paths.map((path) => shippedCopies(name, path, location, target, config, expires)),
    )
    const copies = answers.flatMap((answer) => answer.copies)
    const incomplete = location.incomplete === null ? [] : [location.incomplete]
    const doubts = [...incomplete, ...answers.flatMap((answer) => answer.doubts)]
    try {
      return await choose(segment, copies, doubts, location.systemIdentifier, target, config)
    } finally {
      for (const { file } of copies) await rm(file, { force: true })
    }
  } catch (error) {
    if (error instanceof PgarchError) return doubtful([error])
    throw error
  }
}

async function choose(
  segment: SegmentName,
  copies: readonly ShippedCopy[],
  doubts: readonly PgarchError[],
  systemIdentifier: string,
  target: Target,
  config: Config,
): Promise<Round> {
  const [best, ...others] = copies.toSorted((one, other) => other.valid - one.valid)
  const isUseless = best === undefined || best.valid < longHeaderSize
  // A damaged file will not get better, and may well be an older one.
  if (doubts.some(({ failure }) => failure !== 'damaged')) return doubtful(doubts)
  if (isUseless || best.walSegmentSize === null) {
    return doubts.length === 0 ? { outcome: 'absent', doubts } : doubtful(doubts)
  }
  for (const other of others) {
    if (await begins(other, best)) continue
    return doubtful([...doubts, differentContent(best, other)])
  }
  const { walSegmentSize } = best
  const expected = { name: segment, size: walSegmentSize, walSegmentSize, systemIdentifier }
  const sha256 = await complete(best.file, best.valid, expected)
  if (best.valid < walSegmentSize) await remember(segment.name, sha256, target, config)
  await place(best.file, target.walPath)
  log.info(
    `"${segment.name}" was placed from the shipped file "${best.name}" of path "${best.pathName}", up to ${endOf(segment, best.valid, walSegmentSize)}`,
  )
  return { outcome: 'placed', doubts }
}

function endOf(segment: SegmentName, valid: number, walSegmentSize: number): string {
  const start = segmentStart(segmentNumber(segment, walSegmentSize) ?? 0, walSegmentSize)
  return formatLsn(start + BigInt(valid))
}

/**
 * Checks that it is the segment that its name says, and fills it up with zeros: really, as PostgreSQL may
 * use the file for other WAL later, and must not find the disk full then. Resolves to its sha256.
 */
async function complete(
  path: string,
  valid: number,
  expected: Parameters<typeof checkSegmentHeader>[1],
): Promise<string> {
  try {
    const file = await open(path, 'r+')
    try {
      const hash = createHash('sha256')
      for (let at = 0; at < expected.size; at += chunkSize) {
        const chunk = Buffer.alloc(Math.min(chunkSize, expected.size - at))
        const filled = Math.max(Math.min(valid - at, chunk.length), 0)
        if (filled > 0) await file.read(chunk, 0, filled, at)
        if (at === 0) checkSegmentHeader(chunk, expected)
        await writeAll(file, chunk.subarray(filled), at + filled)
        hash.update(chunk)
      }
      return hash.digest('hex')
    } finally {
      await file.close()
    }
  } catch (thrown) {
    if (!(thrown instanceof PgarchError)) throw fileError('write', path, thrown)
    const message = `what was shipped of "${expected.name.name}" is not valid: ${thrown.message}`
    throw new PgarchError('damaged', message, { cause: thrown })
  }
}

/** So that push never takes it for the primary's own. Without that it is placed all the same. */
async function remember(segment: string, sha256: string, { walPath }: Target, config: Config) {
  const directory = dirname(dirname(walPath))
  const dataDirectory = await openDataDirectory(directory).catch(() => undefined)
  if (dataDirectory === undefined) return
  try {
    const stateDirectory = await createStateDirectory(config.stateDirectory, dataDirectory)
    await noteDelivered(stateDirectory, segment, sha256)
  } catch (error) {
    log.warning(
      `could not remember that "${segment}" is no whole segment: ${describeError(error)}`,
      'Should this server archive it, with archive_mode = always, it takes the place of the whole one.',
    )
  }
}

function differentContent(one: ShippedCopy, other: ShippedCopy): PgarchError {
  return new PgarchError(
    'conflict',
    `"${one.name}" on path "${one.pathName}" and "${other.name}" on path "${other.pathName}" were shipped with different content`,
    { hint: 'Two servers wrote this segment. Move the file of the wrong one aside.' },
  )
}
