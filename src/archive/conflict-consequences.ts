import { formatLsn } from '../wal/lsn.ts'
import { parseWalName, segmentNumber, segmentStart } from '../wal/names.ts'
import type { Choice, ContentOfName } from './conflict-contents.ts'
import type { ConflictPicture } from './conflicts.ts'

/** What settling a conflict so means, a sentence each, for whoever decides. */
export function consequencesOf(
  picture: Pick<ConflictPicture, 'cluster' | 'walName' | 'claim' | 'localHosts'>,
  { givesWay, successor }: Choice,
): string[] {
  const isArchived = givesWay.standing === 'archived'
  return [
    isArchived ? lostRecovery(picture, givesWay) : keptContent(givesWay),
    ...(isArchived ? laterFiles(picture) : []),
    ...(successor === null
      ? []
      : [`What lies on ${listed(successor.paths)} is the archived content from then on.`]),
    ...picture.localHosts.map(
      (host) => `The local archive of host "${host}" has the file too, and is left as it is.`,
    ),
  ]
}

function lostRecovery(
  { cluster, walName }: Pick<ConflictPicture, 'cluster' | 'walName'>,
  { host, paths }: ContentOfName,
): string {
  const by = host === null ? 'whoever archived it' : `host "${host}"`
  const where = paths.length === 0 ? 'It lies on no path. ' : ''
  const name = parseWalName(walName)
  if (name?.kind === 'history') {
    return `${where}Timeline ${name.timeline}, as ${by} began it, can no longer be recovered to.`
  }
  const number = name?.kind === 'segment' && segmentNumber(name, cluster.walSegmentSize)
  if (name?.kind === 'segment' && typeof number === 'number') {
    const start = formatLsn(segmentStart(number, cluster.walSegmentSize))
    return `${where}A recovery along timeline ${name.timeline}, as ${by} wrote it, can no longer go past ${start}.`
  }
  return `${where}No recovery asks for such a file by itself.`
}

/** They continue what gives way, and not what comes instead. */
function laterFiles({ claim }: Pick<ConflictPicture, 'claim'>): string[] {
  const count = claim?.laterFiles ?? 0
  if (count === 0) return []
  const files = count === 1 ? 'One later file' : `${count} later files`
  return [
    `${files} of this timeline, by the same host, stay archived: a recovery ends where they meet what takes this name, until they are set aside too.`,
  ]
}

function keptContent({ host, paths }: ContentOfName): string {
  const kept = 'The archived content stays.'
  if (paths.length > 0) {
    return `${kept} What lies on ${listed(paths)} is no longer in anybody's way, and no recovery finds it.`
  }
  const whose = host === null ? 'the refused content' : `what host "${host}" wrote`
  return `${kept} Nothing is renamed, and ${whose} is refused again should it come again.`
}

function listed(paths: readonly string[]): string {
  return `${paths.length === 1 ? 'path' : 'paths'} ${paths.map((path) => `"${path}"`).join(', ')}`
}
