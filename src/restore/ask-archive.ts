import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { placeRecordedHistory } from './known-history.ts'
import { ownArchive } from './own-archive.ts'
import { doubtful, placed, type Round } from './round.ts'
import { search } from './search.ts'
import type { Target } from './target.ts'
import { findWhereabouts } from './whereabouts.ts'

/**
 * Asks the scheduling database where the file is, and then every place that could have it, once.
 *
 * @param deadline milliseconds, after which no further path is opened
 */
export async function askArchive(
  walName: string,
  target: Target,
  config: Config,
  deadline = target.role === 'standby' ? config.fetchStandbyDeadline : Infinity,
): Promise<Round> {
  const { cluster, walPath, rests, sources } = target
  const expires = performance.now() + deadline
  try {
    const location = await findWhereabouts(walName, target, config)
    if (await placeRecordedHistory(location, walName, walPath)) return placed
    const expected = {
      walName,
      systemIdentifier: cluster.systemIdentifier ?? location.systemIdentifier,
      walSegmentSize: location.walSegmentSize,
      sha256: location.file?.sha256 ?? null,
    }
    const own = await ownArchive(target)
    return await search({ location, own, expected, walPath, expires, rests, sources }, config)
  } catch (error) {
    if (error instanceof PgarchError) return doubtful([error])
    throw error
  }
}
