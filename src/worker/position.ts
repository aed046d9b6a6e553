import { parseWalName, type SegmentName } from '../wal/names.ts'
import type { Spool } from './spool.ts'

/** Where recovery is, as far as its asking tells. */
export interface Position {
  /** The last segment that the server asked for. */
  asked(): SegmentName
  /** Looks where it is now; whether it has asked for another one. */
  look(): Promise<boolean>
}

/**
 * Follows a recovery by what it takes from the spool, which it does in order, and by what a fetch had to
 * get by itself, wherever that is.
 */
export function followRecovery(spool: Spool, first: SegmentName): Position {
  let asked = first
  let toldBefore: string | undefined
  return {
    asked: () => asked,
    async look() {
      const before = asked
      const news = await spool.look()
      const told = await spool.asked()
      if (told !== undefined && told !== toldBefore) news.push(told)
      toldBefore = told
      const name = parseWalName(news.sort(byPlace).at(-1) ?? '')
      if (name?.kind === 'segment') asked = name
      return asked.name !== before.name
    },
  }
}

/** A later segment behind an earlier one, whatever their timelines. */
function byPlace(one: string, other: string): number {
  return one.slice(8) < other.slice(8) ? -1 : 1
}
