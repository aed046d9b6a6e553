import type { Command } from 'commander'
import { listLocalArchive } from '../archive/local-files.ts'
import { readWorkerStatus } from '../archive/worker-status.ts'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { type HostArchiving, readHostArchiving } from '../monitor/host-archiving.ts'
import {
  archivingFindings,
  journalFindings,
  localArchiveFindings,
  type Subject,
  walSpaceFindings,
  workerFinding,
} from '../monitor/host-findings.ts'
import { checkRecovery } from '../monitor/host-recovery.ts'
import { readHostServer } from '../monitor/host-server.ts'
import { failedFinding, serverFindings } from '../monitor/host-server-findings.ts'
import { lookAt, type Part } from '../monitor/look.ts'
import type { Checked } from '../monitor/measure.ts'
import { readWalSpace } from '../monitor/wal-space.ts'
import { type DataDirectory, openDataDirectory } from '../postgres/data-directory.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { openRegistered, type Registered } from '../postgres/registered.ts'
import { listDataDirectories, type Registration } from '../postgres/registrations.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { readCachedRoute, requireReadableRoute } from '../schedule/cached-route.ts'
import { journalState } from '../schedule/journal.ts'
import type { CheckOptions } from './check.ts'
import { configOf } from './command.ts'

/**
 * What data directories on this host show of their archiving without asking the scheduling database or a
 * path. Goes on as their owner when run as root.
 */
export async function checkHost(options: CheckOptions, command: Command): Promise<Checked> {
  const config = await configOf(command)
  const directories = await directoriesOf(options, config)
  const isSeveral = directories.filter(({ trouble }) => trouble === undefined).length > 1
  // A part that hangs is told while there is time for it, beside what the others found.
  const deadline = options.timeout * 800
  const opened = await Promise.all(directories.map(openOrTell))
  dropToTheirOwner(opened.filter((one) => 'uid' in one))
  const parts = await Promise.all(
    opened.map(async (one) =>
      'uid' in one ? await partsOf(one, isSeveral, options, config) : [one],
    ),
  )
  const checked = await lookAt(parts.flat(), deadline)
  if (directories.length === 1) return checked
  const all = { about: '', text: `${directories.length} data directories on this host` } as const
  return { ...checked, findings: [{ severity: 'ok', ...all }, ...checked.findings] }
}

/** As the command line names it, or all that are registered here. */
export async function directoriesOf(
  { pgdata }: CheckOptions,
  { stateDirectory }: Config,
): Promise<Registration[]> {
  if (pgdata !== undefined) return [{ path: pgdata }]
  const found = await listDataDirectories(stateDirectory)
  if (found.length > 0) return found
  throw new PgarchError('usage', `no data directory is registered below "${stateDirectory}"`, {
    hint: "Run it as root or as the server's user, or name one with --pgdata.",
  })
}

async function openOrTell({ path, trouble }: Registration): Promise<DataDirectory | Part> {
  if (trouble !== undefined) {
    return { about: `data directories in "${path}"`, look: () => Promise.reject(trouble) }
  }
  try {
    return await openDataDirectory(path)
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    return { about: `data directory "${path}"`, look: () => Promise.reject(error) }
  }
}

function dropToTheirOwner(directories: readonly DataDirectory[]): void {
  const [first, ...others] = directories
  if (first === undefined || process.geteuid?.() !== 0) return
  if (others.some(({ uid }) => uid !== first.uid)) {
    throw new PgarchError('usage', 'data directories on this host belong to several users', {
      hint: 'Check each with --pgdata.',
    })
  }
  dropToOwner(first)
}

async function partsOf(
  dataDirectory: DataDirectory,
  isOneOfSeveral: boolean,
  options: CheckOptions,
  config: Config,
): Promise<Part[]> {
  const { path } = dataDirectory
  const registered = await openRegistered(path, config.stateDirectory, config.member).catch(
    (error: unknown) => {
      if (error instanceof PgarchError) return error
      throw error
    },
  )
  if (registered instanceof PgarchError) return [unregistered(path, registered)]
  const stateDirectory = stateDirectoryOf(config.stateDirectory, dataDirectory)
  const { member } = registered
  const { fingerprint } = member
  const subject = await subjectOf(registered, stateDirectory, isOneOfSeveral)
  const { about } = subject
  let reading: Promise<HostArchiving> | undefined
  const readArchiving = () => (reading ??= readHostArchiving(dataDirectory, stateDirectory, member))
  const looks: Part['look'][] = [
    async () => archivingFindings(subject, await readArchiving(), new Date()),
    async () => {
      await requireReadableRoute(stateDirectory)
      return findings([])
    },
    async () => {
      const server = await readHostServer(dataDirectory, options.pguser)
      const found = serverFindings(about, server, fingerprint)
      const failed = failedFinding(about, server, await readArchiving())
      return findings(failed === undefined ? found : [...found, failed])
    },
    async () => {
      const files = await listLocalArchive({ stateDirectory, config })
      return localArchiveFindings(
        subject,
        files.map(({ storedTime }) => storedTime),
      )
    },
    async () =>
      journalFindings(subject, await journalState(stateDirectory, fingerprint), new Date()),
    async () => walSpaceFindings(subject, await readWalSpace(path)),
    async () => {
      const cached = await readCachedRoute(stateDirectory, fingerprint)
      const worker = await readWorkerStatus(path, stateDirectory, cached, config)
      return findings([workerFinding(about, worker)])
    },
    async () => findings(await checkRecovery(about, dataDirectory)),
  ]
  return looks.map((look) => ({ about, look }))
}

async function subjectOf(
  { dataDirectory, member }: Registered,
  stateDirectory: string,
  isOneOfSeveral: boolean,
): Promise<Subject> {
  const cached = await readCachedRoute(stateDirectory, member.fingerprint).catch(() => undefined)
  const name = cached?.route.clusterName ?? member.clusterName ?? member.fingerprint
  // A host may have two of one cluster, and a cluster another name tomorrow.
  return isOneOfSeveral
    ? { about: `cluster "${name}" in "${dataDirectory.path}"`, of: dataDirectory.path }
    : { about: `cluster "${name}"`, of: undefined }
}

/** Where it is refused, so is every push; what cannot be read may be as it should. */
function unregistered(path: string, { failure, message, hint }: PgarchError): Part {
  const severity = failure === 'refused' ? 'critical' : 'unknown'
  const told = { severity, about: `data directory "${path}"`, text: message } as const
  return {
    about: told.about,
    look: async () => findings([hint === undefined ? told : { ...told, hint }]),
  }
}

function findings(found: Checked['findings']): Checked {
  return { findings: found, measures: [] }
}
