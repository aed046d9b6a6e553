import { PgarchError } from '../errors.ts'

/** What is known when a data directory is to be registered. */
export interface Situation {
  /** `--name`, or undefined. */
  readonly name: string | undefined
  /** `--member`: another host of a registered cluster. `--new`: a copy that lives on by itself. */
  readonly intent: 'member' | 'new' | undefined
  /** The cluster that this host is a member of with this data directory, by member.json. */
  readonly membership: KnownCluster | undefined
  /** Clusters, not retired, with the data directory's system identifier. */
  readonly sameIdentifier: readonly KnownCluster[]
  /**
   * The cluster whose fingerprint the production database, or member.json, carries although it has
   * another system identifier: what was here before pg_upgrade.
   */
  readonly predecessor: KnownCluster | undefined
  /** The predecessor's members elsewhere that archive still. */
  readonly othersAtWork: readonly { readonly host: string; readonly dataDirectory: string }[]
}

export interface KnownCluster {
  readonly fingerprint: string
  readonly name: string
}

export type Decision =
  | { readonly action: 'keep'; readonly cluster: KnownCluster }
  | { readonly action: 'enrol'; readonly cluster: KnownCluster }
  | { readonly action: 'create'; readonly name: string }
  | { readonly action: 'succeed'; readonly name: string; readonly predecessor: KnownCluster }

/** Whether registering means nothing, a further member, a new cluster, or an upgraded one; or `refused`. */
export function decideRegistration(situation: Situation): Decision {
  const { intent, membership, sameIdentifier, predecessor, othersAtWork, name } = situation
  const isCopy = intent === 'new' && (membership === undefined || membership.name !== name)
  if (isCopy) return { action: 'create', name: requireName(name) }
  if (membership !== undefined) return { action: 'keep', cluster: matchName(membership, name) }
  if (intent === 'member') return { action: 'enrol', cluster: chooseCluster(sameIdentifier, name) }
  if (sameIdentifier.length > 0) throw alreadyKnown(sameIdentifier)
  if (predecessor !== undefined) {
    if (name !== undefined && name !== predecessor.name) throw carriesAnother(predecessor, name)
    const [other] = othersAtWork
    if (other !== undefined) throw stillAtWork(predecessor, other)
    return { action: 'succeed', name: predecessor.name, predecessor }
  }
  return { action: 'create', name: requireName(name) }
}

/** A dump brings the fingerprint along, too: to succeed would retire a cluster that is in use. */
function carriesAnother(predecessor: KnownCluster, name: string): PgarchError {
  return new PgarchError(
    'refused',
    `this server carries the fingerprint of cluster "${predecessor.name}"`,
    {
      hint:
        'If pg_upgrade made it: repeat without --name, and rename it later with "pgarch cluster ' +
        `rename". If it is a server of its own, into which a dump was restored: --new --name ${name}.`,
    },
  )
}

function stillAtWork(
  predecessor: KnownCluster,
  { host, dataDirectory }: Situation['othersAtWork'][number],
): PgarchError {
  return new PgarchError(
    'refused',
    `cluster "${predecessor.name}" archived from "${dataDirectory}" on host "${host}" within the last hour`,
    {
      hint:
        'If this is a server of its own, into which a dump was restored: add --new --name NAME. If ' +
        'pg_upgrade made it: stop the old server there, and repeat this an hour later.',
    },
  )
}

function requireName(name: string | undefined): string {
  if (name !== undefined) return name
  throw new PgarchError('usage', 'a new cluster needs a name', { hint: 'Give it with --name.' })
}

function matchName(cluster: KnownCluster, name: string | undefined): KnownCluster {
  if (name === undefined || name === cluster.name) return cluster
  throw new PgarchError(
    'refused',
    `this data directory is registered as cluster "${cluster.name}", not "${name}"`,
    { hint: 'To give it another name, run "pgarch cluster rename".' },
  )
}

function chooseCluster(clusters: readonly KnownCluster[], name: string | undefined): KnownCluster {
  const [only, ...others] = clusters
  if (only === undefined) {
    throw new PgarchError('refused', 'no registered cluster has this system identifier', {
      hint: 'Register it as a cluster of its own: "pgarch register --name NAME".',
    })
  }
  if (name === undefined && others.length === 0) return only
  const named = clusters.find((cluster) => cluster.name === name)
  if (named !== undefined) return named
  const names = clusters.map((cluster) => `"${cluster.name}"`).join(', ')
  if (name !== undefined) {
    throw new PgarchError('refused', `cluster "${name}" does not have this system identifier`, {
      hint: `Those that have it: ${names}.`,
    })
  }
  throw new PgarchError('refused', `several clusters have this system identifier: ${names}`, {
    hint: 'Say with --name of which one this is another host.',
  })
}

function alreadyKnown(clusters: readonly KnownCluster[]): PgarchError {
  const names = clusters.map((cluster) => `"${cluster.name}"`).join(', ')
  return new PgarchError(
    'refused',
    `this is a copy, or another host, of cluster ${names}, which has the same system identifier`,
    {
      hint:
        'Another host of the same cluster, which may become its primary: add --member. ' +
        'A copy that lives on as a cluster of its own, with an archive of its own: add --new.',
    },
  )
}
