import { PgarchError } from '../errors.ts'
import type { ClaimedContent, Conflict } from '../schedule/conflicts.ts'
import type { UnfinishedSetAside } from '../schedule/set-aside.ts'

/** One of the contents that have, or want, the same name. */
export interface ContentOfName {
  /** 64 lower-case hex digits. */
  readonly sha256: string
  /** `archived`: the scheduling database holds it for the file's. */
  readonly standing: 'archived' | 'refused' | 'unknown'
  /** Bytes; null: refused, and stored nowhere. */
  readonly walSize: number | null
  /** Of the member that archived it, or tried to; null: nobody knows. */
  readonly memberId: string | null
  readonly host: string | null
  /** When it was archived, or refused first. */
  readonly firstTime: Date | null
  /** When it was refused last, and how often. */
  readonly lastTime: Date | null
  readonly times: number | null
  /** Names of the paths on which it lies under the file's name. */
  readonly paths: readonly string[]
}

/** What a path has under the file's name. */
export interface Find {
  readonly pathId: number
  readonly pathName: string
  /** null: nothing. */
  readonly stored: { readonly sha256: string; readonly size: number } | null
}

/** Everything that is known of one name in conflict. */
export interface ConflictFacts {
  readonly claim: ClaimedContent | undefined
  /** Open ones of the file. */
  readonly conflicts: readonly Conflict[]
  readonly finds: readonly Find[]
  /** What an earlier command began and did not finish. */
  readonly unfinished: UnfinishedSetAside | undefined
}

/** The contents, the archived one first, then the refused ones in the order in which they were met. */
export function contentsOf({ claim, conflicts, finds }: ConflictFacts): ContentOfName[] {
  const refused = conflicts.filter(
    (one) => one.refusedSha256 !== null && one.refusedSha256 !== claim?.sha256,
  )
  const known = [claim?.sha256, ...refused.map((one) => one.refusedSha256)]
  const found = finds.map(({ stored }) => stored?.sha256)
  const all = [...new Set([...known, ...found])].filter((one) => typeof one === 'string')
  return all.map((sha256) => {
    const lying = finds.filter(({ stored }) => stored?.sha256 === sha256)
    const common = { sha256, paths: lying.map(({ pathName }) => pathName) }
    if (claim?.sha256 === sha256) {
      const { walSize, memberId, host, time } = claim
      const archived = {
        standing: 'archived',
        firstTime: time,
        lastTime: null,
        times: null,
      } as const
      return { ...common, ...archived, walSize, memberId, host }
    }
    const walSize = lying[0]?.stored?.size ?? null
    const [refusal] = refused.filter((one) => one.refusedSha256 === sha256)
    if (refusal === undefined) {
      const nobody = { memberId: null, host: null, firstTime: null, lastTime: null, times: null }
      return { ...common, ...nobody, walSize, standing: 'unknown' }
    }
    const { memberId, host, firstSeen, lastSeen, times } = refusal
    const seen = { firstTime: firstSeen, lastTime: lastSeen, times }
    return { ...common, ...seen, memberId, host, walSize, standing: 'refused' }
  })
}

/** What gives way, and what has the name from then on. */
export interface Choice {
  readonly givesWay: ContentOfName
  /** Content that lies on paths, and becomes the archived one; null: none, or it already is. */
  readonly successor: ContentOfName | null
}

/**
 * Decides a conflict. What gives way is what `wanted` says, a sha256 or the beginning of one; without it
 * the only content that lies on paths, as that is what refuses the other; or the archived one, if none
 * lies anywhere. Throws `refused` when there is no conflict, or more than one way to settle it.
 */
export function chooseContent(facts: ConflictFacts, wanted: string | undefined): Choice {
  const { claim, conflicts, unfinished } = facts
  if (conflicts.length === 0 && unfinished === undefined) {
    throw new PgarchError('refused', 'there is no open conflict about this file', {
      hint: 'See "pgarch conflict list". What is archived without a conflict stays as it is.',
    })
  }
  const contents = contentsOf(facts)
  const givesWay =
    unfinished === undefined ? chosen(contents, wanted) : begun(contents, unfinished, wanted)
  const staying = contents.filter((one) => one.paths.length > 0 && one.sha256 !== givesWay.sha256)
  if (claim !== undefined && claim.sha256 !== givesWay.sha256) return { givesWay, successor: null }
  const [successor = null] = staying
  if (staying.length <= 1) return { givesWay, successor }
  throw new PgarchError('refused', 'the paths would be left with different content', {
    hint: `Set aside first, with --content, all but one of ${shas(staying)}.`,
  })
}

function chosen(contents: readonly ContentOfName[], wanted: string | undefined): ContentOfName {
  const lying = contents.filter(({ paths }) => paths.length > 0)
  const archived = contents.filter(({ standing }) => standing === 'archived')
  const fitting =
    wanted === undefined
      ? lying.length > 0
        ? lying
        : archived
      : contents.filter(({ sha256 }) => sha256.startsWith(wanted))
  const [only] = fitting
  if (fitting.length === 1 && only !== undefined) return only
  const what =
    wanted === undefined
      ? 'it does not go without saying which content is to give way'
      : `${fitting.length === 0 ? 'no' : 'more than one'} content has a sha256 that begins with "${wanted}"`
  throw new PgarchError('refused', what, {
    hint: `Say which with --content: ${shas(contents)}.`,
  })
}

/** Part of its files may be renamed already, so that the paths no longer tell. */
function begun(
  contents: readonly ContentOfName[],
  { sha256 }: UnfinishedSetAside,
  wanted: string | undefined,
): ContentOfName {
  if (wanted !== undefined && !sha256.startsWith(wanted)) {
    throw new PgarchError('refused', `other content is being set aside: sha256 ${sha256}`, {
      hint: 'Finish that first: repeat the command without --content.',
    })
  }
  const nobody = { memberId: null, host: null, firstTime: null, lastTime: null, times: null }
  const bare = { sha256, standing: 'unknown', walSize: null, paths: [], ...nobody } as const
  return contents.find((one) => one.sha256 === sha256) ?? bare
}

function shas(contents: readonly ContentOfName[]): string {
  return contents.map(({ sha256, standing }) => `${sha256.slice(0, 12)} (${standing})`).join(', ')
}
