import type { Config } from '../config.ts'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'
import { limitBehind } from '../wal/cleanup-limit.ts'
import { parseWalName } from '../wal/names.ts'
import { type FetchRequest, membershipOf, type Target } from './target.ts'

/**
 * After a server in recovery was given a segment: removes from the standby's own archive what neither %r
 * nor `--keep` wants to stay, as pg_standby did. What goes wrong is no more than a warning: the segment is
 * placed.
 */
export async function cleanBehind(
  { walName, cleanup }: FetchRequest,
  target: Target,
  config: Config,
): Promise<void> {
  const segment = parseWalName(walName)
  const isWanted = cleanup.restart !== undefined || cleanup.keep > 0
  if (segment?.kind !== 'segment' || target.role === 'pg_rewind' || !isWanted) return
  if (config.cleanupPath === undefined) return
  try {
    const member = membershipOf(target)
    if (member === undefined) {
      log.warning('does not clean up: this host is not registered', 'See docs/cleanup.md.')
      return
    }
    const keptFrom = limitBehind({ ...segment, kind: 'segment' }, cleanup, member.walSegmentSize)
    if (keptFrom === 'all') return
    const { cleanUp } = await import('./cleanup.ts')
    const request = { keptFrom, pathName: undefined, allowShared: false, isDryRun: false }
    await cleanUp(request, member, config)
  } catch (error) {
    log.warning(`could not clean up behind "${walName}": ${describeError(error)}`)
  }
}
