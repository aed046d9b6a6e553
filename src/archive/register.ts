import { hostname } from 'node:os'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { type DataDirectory, openDataDirectory } from '../postgres/data-directory.ts'
import { readFingerprint, writeFingerprint } from '../postgres/fingerprint.ts'
import { type Member, readMember, writeMember } from '../postgres/member.ts'
import type { OwnServer } from '../postgres/own-server.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { findWalSegmentSize } from '../postgres/wal-segment-size.ts'
import { withScheduling } from '../resources.ts'
import {
  type ClusterProperties,
  createCluster,
  listClustersByIdentifier,
  noteServer,
  succeedCluster,
} from '../schedule/clusters.ts'
import type { Schedule } from '../schedule/connect.ts'
import { enrolMember, findMember } from '../schedule/members.ts'
import { inTransaction, lockIdentifier } from '../schedule/transaction.ts'
import { findOthersAtWork, findPredecessor } from './predecessor.ts'
import { withProduction } from './production-server.ts'
import { deliverBeforeLeaving } from './record.ts'
import { type Decision, decideRegistration, type KnownCluster } from './registration.ts'
import { readArchiveTimeout } from './server-settings.ts'

export interface RegisterRequest {
  readonly pgdata: string
  readonly name: string | undefined
  readonly intent: 'member' | 'new' | undefined
  /** Do not connect to the production server. */
  readonly offline: boolean
  /** Role on the production server; otherwise the operating system user's name. */
  readonly pguser: string | undefined
  readonly properties: ClusterProperties
}

export interface Registration {
  readonly action: Decision['action']
  readonly member: Member
  readonly dataDirectory: DataDirectory
  readonly stateDirectory: string
  /** Whether the production database carries the fingerprint now. */
  readonly fingerprintStored: boolean
  /** Another cluster has the same system identifier, so that restore_command must name this one. */
  readonly hasNamesake: boolean
}

/**
 * Makes a data directory known: gives the cluster its fingerprint, or enrols this host as a further
 * member; leaves member.json in the state directory, and the fingerprint in the production database.
 * Repeating it changes nothing. `afterwards` runs while the production server is connected.
 */
export async function register(
  request: RegisterRequest,
  config: Config,
  afterwards: (registration: Registration, production: OwnServer | undefined) => Promise<void>,
): Promise<void> {
  const dataDirectory = await openDataDirectory(request.pgdata)
  // The scheduling database comes first: root's own password file, for one, is closed afterwards.
  await withScheduling(
    config,
    async (schedule) => {
      const stateDirectory = await createStateDirectory(config.stateDirectory, dataDirectory)
      dropToOwner(dataDirectory)
      await withProduction(request, dataDirectory, async (production) => {
        const place = { dataDirectory, stateDirectory, production }
        const registration = await registerAt(place, request, config, schedule)
        await afterwards(registration, production)
        // They may have been set just now.
        await tellServerSettings(schedule, registration.member, production)
      })
    },
    'admin',
  )
}

interface Place {
  readonly dataDirectory: DataDirectory
  readonly stateDirectory: string
  readonly production: OwnServer | undefined
}

async function registerAt(
  place: Place,
  request: RegisterRequest,
  config: Config,
  schedule: Schedule,
): Promise<Registration> {
  const { dataDirectory, stateDirectory, production } = place
  const present = await readPresent(stateDirectory, config)
  const { systemIdentifier } = dataDirectory
  const { action, member, hasNamesake } = await inTransaction(schedule, async () => {
    await lockIdentifier(schedule, systemIdentifier)
    const enrolled = await decideAndEnrol(place, present, request, schedule)
    const clusters = await listClustersByIdentifier(schedule, systemIdentifier)
    return { ...enrolled, hasNamesake: clusters.length > 1 }
  })
  if (present !== undefined && present.fingerprint !== member.fingerprint) {
    await deliverBeforeLeaving(stateDirectory, schedule, present)
  }
  if (action !== 'keep') await writeMember(stateDirectory, member)
  const fingerprintStored = await storeFingerprint(production, member)
  return { action, member, dataDirectory, stateDirectory, fingerprintStored, hasNamesake }
}

/** A file that is damaged, or of a newer pgarch, gives way to a new one. */
async function readPresent(stateDirectory: string, config: Config): Promise<Member | undefined> {
  try {
    return await readMember(stateDirectory, config.member)
  } catch (thrown) {
    const isOurs = config.member === undefined || config.member === ''
    if (!isOurs || !(thrown instanceof PgarchError) || thrown.failure !== 'unusable') throw thrown
    log.warning(thrown.message, 'It counts as none.')
    return undefined
  }
}

async function decideAndEnrol(
  { dataDirectory, production }: Place,
  present: Member | undefined,
  request: RegisterRequest,
  schedule: Schedule,
): Promise<{ action: Decision['action']; member: Member }> {
  const { systemIdentifier } = dataDirectory
  const sameIdentifier = await listClustersByIdentifier(schedule, systemIdentifier)
  const predecessor = await findPredecessor(present, production, systemIdentifier, schedule)
  const decision = decideRegistration({
    name: request.name,
    intent: request.intent,
    membership: await currentMembership(present, systemIdentifier, schedule),
    sameIdentifier,
    predecessor,
    othersAtWork:
      predecessor === undefined
        ? []
        : await findOthersAtWork(predecessor, dataDirectory.path, schedule),
  })
  const { action } = decision
  if (action === 'keep' && present !== undefined) return { action, member: present }

  // A base backup may have no WAL yet, but its cluster is known.
  const [known] = sameIdentifier.filter(
    ({ fingerprint }) => action === 'enrol' && fingerprint === decision.cluster.fingerprint,
  )
  const walSegmentSize =
    production?.state.walSegmentSize ??
    known?.walSegmentSize ??
    (await findWalSegmentSize(dataDirectory))
  const cluster = {
    ...request.properties,
    host: request.properties.host ?? hostname(),
    version: String(dataDirectory.majorVersion),
    systemIdentifier,
    walSegmentSize,
  }
  const { fingerprint, name } = await settleCluster(decision, cluster, schedule)
  const { memberId, credential } = await enrolMember(schedule, fingerprint, {
    host: hostname(),
    dataDirectory: dataDirectory.path,
  })
  const member = {
    clusterName: name,
    fingerprint,
    memberId,
    credential,
    systemIdentifier,
    walSegmentSize,
  }
  return { action, member }
}

async function settleCluster(
  decision: Decision,
  cluster: ClusterProperties & { systemIdentifier: string; walSegmentSize: number },
  schedule: Schedule,
): Promise<KnownCluster> {
  if (decision.action === 'create')
    return createCluster(schedule, { ...cluster, name: decision.name })
  if (decision.action === 'succeed') {
    const { predecessor, name } = decision
    return succeedCluster(schedule, predecessor.fingerprint, { ...cluster, name })
  }
  return decision.cluster
}

/** The cluster that member.json is good for, if it is for this data directory and still known. */
async function currentMembership(
  present: Member | undefined,
  systemIdentifier: string,
  schedule: Schedule,
): Promise<KnownCluster | undefined> {
  if (present?.systemIdentifier !== systemIdentifier) return undefined
  return await findMember(schedule, present)
}

/** A standby's own settings count when it becomes a primary, and is registered again. */
async function tellServerSettings(
  schedule: Schedule,
  { fingerprint }: Member,
  production: OwnServer | undefined,
): Promise<void> {
  if (production === undefined || production.state.inRecovery) return
  const archiveTimeoutSeconds = await readArchiveTimeout(production.connection)
  await noteServer(schedule, fingerprint, { archiveTimeoutSeconds })
}

/** False where it must follow later: offline, or on a standby whose primary has none yet. */
async function storeFingerprint(
  production: OwnServer | undefined,
  { fingerprint, walSegmentSize }: Member,
): Promise<boolean> {
  if (production === undefined) return false
  if (!production.state.inRecovery) {
    await writeFingerprint(production.connection, { fingerprint, walSegmentSize })
    return true
  }
  return (await readFingerprint(production.connection))?.fingerprint === fingerprint
}
