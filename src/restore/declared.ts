import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import { decodeManifest, type Manifest, manifestName } from '../stores/manifest.ts'
import type { Store } from '../stores/store.ts'
import { membershipOf, type Target } from './target.ts'

/** A cluster, as far as it is known without the scheduling database. */
export interface DeclaredCluster {
  /** uuid */
  readonly fingerprint: string
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** Bytes; null: nobody says. */
  readonly walSegmentSize: number | null
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Which cluster is meant, when only the declared paths are there to tell: the one that this host is a
 * member of, the one with the given fingerprint, or by the paths' manifests the only one with the data
 * directory's system identifier, or the given name. Rejects unless it is certain.
 */
export async function identifyDeclared(target: Target, config: Config): Promise<DeclaredCluster> {
  const { cluster, without } = target
  const member = membershipOf(target)
  if (member !== undefined) return member
  const { systemIdentifier, clusterName } = cluster
  const given = clusterName !== null && uuid.test(clusterName) ? clusterName : undefined
  if (given !== undefined && systemIdentifier !== null) {
    return { fingerprint: given, systemIdentifier, walSegmentSize: null }
  }
  // One that does not answer could know another cluster that fits as well.
  const asked = config.declaredPaths.filter(({ name }) => !without.includes(name))
  const perPath = await Promise.all(
    asked.map((path) => withPath(path, config, (store) => readManifests(store, given))),
  )
  return chooseCluster(perPath.flat(), cluster)
}

/** The only cluster of these that fits; several copies of one manifest are one. */
export function chooseCluster(
  manifests: readonly Manifest[],
  { systemIdentifier, clusterName }: Target['cluster'],
): DeclaredCluster {
  const fits = (one: Manifest) =>
    (systemIdentifier === null || one.systemIdentifier === systemIdentifier) &&
    (clusterName === null || one.name === clusterName || one.fingerprint === clusterName)
  const fitting = new Map(manifests.filter(fits).map((one) => [one.fingerprint, one]))
  const [only] = fitting.values()
  if (fitting.size === 1 && only !== undefined) return only
  const what = [
    ...(clusterName === null ? [] : [`"${clusterName}"`]),
    ...(systemIdentifier === null ? [] : [`with system identifier ${systemIdentifier}`]),
  ].join(' ')
  const found = [...fitting.values()].map(({ name, fingerprint }) => `${name} (${fingerprint})`)
  throw new PgarchError(
    'refused',
    `the manifests on the declared paths name ${found.length === 0 ? 'no' : 'more than one'} cluster ${what}`,
    {
      hint:
        found.length === 0
          ? "Say which with --cluster and its fingerprint: a directory's name at the paths' roots."
          : `Say which with --cluster and its fingerprint: ${found.join(', ')}.`,
    },
  )
}

async function readManifests(store: Store, fingerprint: string | undefined): Promise<Manifest[]> {
  const wanted = fingerprint === undefined ? await store.clusters() : [fingerprint]
  const texts = await Promise.all(
    wanted.map((one) => store.readText(manifestName(one)).then((text) => [one, text] as const)),
  )
  return texts.flatMap(([one, text]) => {
    if (text === 'absent') return []
    const manifest = decodeManifest(text, one)
    if (manifest !== undefined) return [manifest]
    throw new PgarchError(
      'unusable',
      `path "${store.path.name}": "${manifestName(one)}" cannot be understood`,
      {
        hint: 'It may be of the cluster that is meant. Say which with --cluster and a fingerprint.',
      },
    )
  })
}
