import type { Schedule } from './connect.ts'
import type {
  Claim,
  ClaimOutcome,
  ClusterReference,
  Entry,
  LateConflict,
  Location,
  Membership,
  Route,
} from './types.ts'

/**
 * The member's route, and in the same call the claims of files to archive. `outcomes` has one for each
 * claim, in their order; it is null when the switch is not at start, as then nothing is claimed.
 * Rejects with `refused` for an unknown membership or a retired cluster.
 */
export async function fetchRoute(
  schedule: Schedule,
  { memberId, credential }: Membership,
  claims: readonly Claim[],
): Promise<{ route: Route; outcomes: ClaimOutcome[] | null }> {
  const [row] = await schedule.query<{ answer: Route & { claims: ClaimOutcome[] | null } }>(
    'select pgarch.route($1, $2, $3) as answer',
    [memberId, credential, JSON.stringify(claims.map(claimAsText))],
  )
  const { claims: outcomes, ...route } = only(row).answer
  return { route, outcomes }
}

/**
 * Notes a WAL file that is dropped on purpose. False, and nothing noted, unless the cluster's switch
 * is at stop in this very call: then it must not be dropped.
 */
export async function dropWal(
  schedule: Schedule,
  { memberId, credential }: Membership,
  file: { readonly walName: string; readonly walSize: number },
): Promise<boolean> {
  const [row] = await schedule.query<{ dropped: boolean }>(
    'select pgarch.drop_wal($1, $2, $3) as dropped',
    [memberId, credential, JSON.stringify([file])],
  )
  return only(row).dropped
}

/**
 * Delivers what a host did, in its order: claims each file's content, and records where it went. The
 * same entry twice counts once, so this can be repeated until it resolves. Resolves to those files
 * whose content was refused.
 *
 * @param when `at once`: it happened just now, whatever this host's clock says
 */
export async function deliver(
  schedule: Schedule,
  { memberId, credential }: Membership,
  entries: readonly Entry[],
  when: 'at once' | 'later' = 'later',
): Promise<LateConflict[]> {
  const [row] = await schedule.query<{ answer: { conflicts: LateConflict[] } }>(
    'select pgarch.deliver($1, $2, $3) as answer',
    [memberId, credential, JSON.stringify(entries.map((entry) => entryAsText(entry, when)))],
  )
  return only(row).answer.conflicts
}

/**
 * Where one WAL file is. Needs no membership. Rejects with `refused` when no cluster fits, or when
 * several do; the hint then names them.
 */
export async function locate(
  schedule: Schedule,
  cluster: ClusterReference,
  walName: string,
): Promise<Location> {
  const [row] = await schedule.query<{ answer: Location & { file: StoredFile | null } }>(
    'select pgarch.locate($1, $2, $3, $4) as answer',
    [cluster.systemIdentifier, cluster.clusterName, cluster.fingerprint, walName],
  )
  const { file, ...rest } = only(row).answer
  const history = file?.history as string | null | undefined
  return {
    ...rest,
    file: file && { ...file, history: history ? Buffer.from(history, 'base64') : null },
  }
}

/**
 * Calls `heard` whenever files of the cluster were archived, as long as the connection lives. False: what
 * is being recorded in this moment may not be told of, so ask again later.
 */
export async function listenForCopies(
  schedule: Schedule,
  fingerprint: string,
  heard: () => void,
): Promise<boolean> {
  const [row] = await schedule.query<{ certain: boolean }>(
    'select pgarch.wait_for_copies($1) as certain',
    [fingerprint],
  )
  if (!only(row).certain) return false
  schedule.onNotification(heard)
  return true
}

/**
 * How long ago the file was archived, in milliseconds, by the scheduling database's clock alone; null
 * when it knows of no such file.
 */
export async function archivedAge(
  schedule: Schedule,
  fingerprint: string,
  walName: string,
): Promise<number | null> {
  const [row] = await schedule.query<{ seconds: number | null }>(
    'select pgarch.archived_age($1, $2) as seconds',
    [fingerprint, walName],
  )
  const { seconds } = only(row)
  return seconds === null ? null : seconds * 1000
}

/** As JSON carries it. */
type StoredFile = Omit<NonNullable<Location['file']>, 'history'> & { history: never }

/** JSON has no bytes. */
function claimAsText(claim: Claim): object {
  return { ...claim, history: claim.history?.toString('base64') ?? null }
}

function entryAsText({ claim, events }: Entry, when: 'at once' | 'later'): object {
  return { claim: claimAsText(claim), events, live: when === 'at once' }
}

export function only<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new Error('the function returned no row')
  return row
}
