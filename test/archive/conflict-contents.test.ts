import { describe, expect, it } from 'vitest'
import { consequencesOf } from '../../src/archive/conflict-consequences.ts'
import {
  type ConflictFacts,
  chooseContent,
  contentsOf,
} from '../../src/archive/conflict-contents.ts'
import type { Cluster } from '../../src/schedule/clusters.ts'
import type { Conflict } from '../../src/schedule/conflicts.ts'

const [x, y, z] = ['a'.repeat(64), 'b'.repeat(64), `bb${'c'.repeat(62)}`] as const
const time = new Date('2026-11-21T12:00:00Z')
const walName = '000000010000000000000007'

/** Refused content; null: met on a path, where the claimed content was refused by what lies there. */
function conflict(sha256: string, pathName: string | null = null): Conflict {
  return {
    ...{ id: 1, fingerprint: 'f', clusterName: 'app', walName, claimedSha256: x },
    ...{ refusedSha256: sha256, pathName, memberId: `member-${sha256[0]}`, times: 3 },
    ...{ host: `host-${sha256[0]}`, firstSeen: time, lastSeen: time },
  }
}

const claim = { sha256: x, walSize: 100, memberId: 'member-a', host: 'host-a', time, laterFiles: 0 }

/** berlin and madrid hold these contents, or nothing. */
function facts(
  berlin: string | null,
  madrid: string | null,
  conflicts: readonly Conflict[],
  more: Partial<ConflictFacts> = {},
): ConflictFacts {
  const find = (pathId: number, pathName: string, sha256: string | null) => ({
    ...{ pathId, pathName, stored: sha256 === null ? null : { sha256, size: 100 } },
  })
  const finds = [find(1, 'berlin', berlin), find(2, 'madrid', madrid)]
  return { claim, conflicts, finds, unfinished: undefined, ...more }
}

it('contents are told apart by who archived them, who was refused, and where they lie', () => {
  const all = contentsOf(facts(x, z, [conflict(y), conflict(x, 'madrid')]))
  expect(all).toMatchObject([
    { sha256: x, standing: 'archived', host: 'host-a', paths: ['berlin'], walSize: 100 },
    { sha256: y, standing: 'refused', host: 'host-b', paths: [], walSize: null, times: 3 },
    { sha256: z, standing: 'unknown', host: null, paths: ['madrid'], walSize: 100 },
  ])
})

describe('what gives way, and what is archived instead', () => {
  it.each<[string, ConflictFacts, string | undefined, [string, string | null]]>([
    ['what is archived, for what was refused', facts(x, x, [conflict(y)]), undefined, [x, null]],
    ['a claim whose file never came', facts(null, null, [conflict(y)]), undefined, [x, null]],
    ['strange content on a path', facts(null, z, [conflict(x, 'madrid')]), undefined, [z, null]],
    ['what was refused, on request', facts(x, null, [conflict(y)]), y, [y, null]],
    ['the archived one, for what came late', facts(x, y, [conflict(y)]), 'aaa', [x, y]],
    ['what came late', facts(x, y, [conflict(y)]), 'bbb', [y, null]],
    [
      'strange content without a claim',
      facts(z, null, [], { unfinished: { id: 1, sha256: z }, claim: undefined }),
      undefined,
      [z, null],
    ],
    [
      'what was begun, wherever it lies by now',
      facts(null, null, [conflict(x, 'madrid')], { unfinished: { id: 1, sha256: z } }),
      undefined,
      [z, null],
    ],
    [
      'what was begun, also when its conflicts are gone',
      facts(null, null, [], { unfinished: { id: 1, sha256: x } }),
      'a',
      [x, null],
    ],
  ])('%s', (_title, given, wanted, [givesWay, successor]) => {
    const choice = chooseContent(given, wanted)
    expect([choice.givesWay.sha256, choice.successor?.sha256 ?? null]).toEqual([
      givesWay,
      successor,
    ])
  })

  it.each<[string, ConflictFacts, string | undefined, string]>([
    ['there is no conflict', facts(x, x, []), undefined, 'no open conflict'],
    ['both lie on paths', facts(x, y, [conflict(y)]), undefined, 'without saying which'],
    ['no content is meant', facts(x, null, [conflict(y)]), 'f', 'no content'],
    [
      'several are meant',
      facts(x, null, [conflict(y), conflict(z)]),
      'bb',
      'more than one content',
    ],
    ['two would stay', facts(y, z, [conflict(y)]), x, 'would be left with different content'],
    [
      'other content was begun',
      facts(x, null, [conflict(y)], { unfinished: { id: 1, sha256: x } }),
      y,
      'other content is being set aside',
    ],
  ])('refused when %s', (_title, given, wanted, message) => {
    expect(() => chooseContent(given, wanted)).toThrow(message)
  })
})

describe('what it means is said', () => {
  const cluster = { walSegmentSize: 1024 * 1024 } as Cluster
  const say = (given: ConflictFacts, wanted?: string, file = walName, localHosts: string[] = []) =>
    consequencesOf(
      { cluster, walName: file, claim: given.claim, localHosts },
      chooseContent(given, wanted),
    )

  it.each<[string, string]>([
    [walName, 'along timeline 1, as host "host-a" wrote it, can no longer go past 0/700000'],
    ['00000003.history', 'Timeline 3, as host "host-a" began it, can no longer be recovered to'],
    [`${walName}.partial`, 'No recovery asks for such a file by itself'],
  ])('of %s', (file, words) => {
    expect(say(facts(x, null, [conflict(y)]), undefined, file)).toEqual([
      expect.stringContaining(words),
    ])
  })

  it('with files that follow, a successor, and a local archive', () => {
    const later = { claim: { ...claim, laterFiles: 4 } }
    expect(say(facts(x, y, [conflict(y)], later), x, walName, ['host-c'])).toEqual([
      expect.stringContaining('0/700000'),
      expect.stringContaining('4 later files of this timeline, by the same host, stay archived'),
      'What lies on path "madrid" is the archived content from then on.',
      'The local archive of host "host-c" has the file too, and is left as it is.',
    ])
  })

  it('when the archived content stays', () => {
    expect(say(facts(x, null, [conflict(y)]), y)).toEqual([
      'The archived content stays. Nothing is renamed, and what host "host-b" wrote is refused again should it come again.',
    ])
    expect(say(facts(null, z, [conflict(x, 'madrid')]))).toEqual([
      expect.stringContaining('What lies on path "madrid" is no longer in anybody\'s way'),
    ])
  })
})
