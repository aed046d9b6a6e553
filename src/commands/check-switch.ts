import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { readHostArchiving } from '../monitor/host-archiving.ts'
import { readHostServer } from '../monitor/host-server.ts'
import { serverFindings } from '../monitor/host-server-findings.ts'
import { lookAt } from '../monitor/look.ts'
import type { Checked } from '../monitor/measure.ts'
import { proofFinding } from '../monitor/proof-finding.ts'
import { digestOfEnded, switchWal } from '../monitor/switch-wal.ts'
import { openDataDirectory } from '../postgres/data-directory.ts'
import { dropToOwner } from '../postgres/privileges.ts'
import { isReady } from '../postgres/ready-files.ts'
import { openRegistered, type Registered } from '../postgres/registered.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { type Proof, proveArchived } from '../restore/prove-archived.ts'
import type { CheckOptions } from './check.ts'
import { directoriesOf } from './check-host.ts'
import { configOf } from './command.ts'

export const switchMeasures = ['archive_time'] as const

/** Between two looks whether PostgreSQL had it archived, and two rounds of asking; in milliseconds. */
const pause = { untilArchived: 100, untilFetched: 1000 }

/** Milliseconds. */
const shortestRound = 2000

/**
 * Has the production server on this host end a segment, and waits until that very segment can be
 * fetched, and is what the server wrote. Goes on as the data directory's owner when run as root.
 */
export async function checkSwitch(options: CheckOptions, command: Command): Promise<Checked> {
  const deadline = performance.now() + options.timeout * 850
  const config = await configOf(command)
  const [directory, ...others] = await directoriesOf(options, config)
  if (directory === undefined || others.length > 0) {
    throw new PgarchError('usage', 'several data directories are registered on this host', {
      hint: 'Name one with --pgdata.',
    })
  }
  const { path, trouble } = directory
  if (trouble !== undefined) throw trouble
  dropToOwner(await openDataDirectory(path))
  const registered = await openRegistered(path, config.stateDirectory, config.member)
  const { clusterName, fingerprint } = registered.member
  const about = `cluster "${clusterName ?? fingerprint}"`
  const look = () => prove(about, registered, options.pguser, config, deadline)
  // What came of it until then is told while there is time for it.
  return await lookAt([{ about, look }], options.timeout * 950)
}

async function prove(
  about: string,
  registered: Registered,
  pguser: string | undefined,
  config: Config,
  deadline: number,
): Promise<Checked> {
  const { dataDirectory, member } = registered
  const server = await readHostServer(dataDirectory, pguser)
  const found = serverFindings(about, server, member.fingerprint)
  if (found.some(({ severity }) => severity === 'critical'))
    return { findings: found, measures: [] }
  const walName = await switchWal(dataDirectory, pguser)
  const start = performance.now()
  const written = await digestOfEnded(dataDirectory, walName)
  const proof = await untilProved(walName, registered, config, deadline)
  const seconds = (performance.now() - start) / 1000
  const { severity, ...told } = proofFinding(walName, proof, written, seconds)
  const measure = {
    ...told,
    about,
    name: 'archive_time',
    value: seconds,
    unit: 's',
    min: 0,
  } as const
  return {
    findings: [{ severity, about, ...told }, ...found],
    // Without a file that is archived it is the time of nothing.
    measures: severity === 'critical' ? [] : [measure],
  }
}

/** @param deadline as `performance.now()` counts; what was found last until then counts */
async function untilProved(
  walName: string,
  registered: Registered,
  config: Config,
  deadline: number,
): Promise<Proof> {
  let proof: Proof | undefined
  for (;;) {
    const isWaiting = await isReady(registered.dataDirectory.path, walName)
    const left = deadline - performance.now()
    // A round that has no time would know less than the one before.
    if (left <= 0 || (proof !== undefined && left < shortestRound)) {
      return proof ?? (await whyWaiting(registered, config))
    }
    if (!isWaiting) {
      proof = await proveOrDoubt(walName, registered, config, left)
      if (proof.outcome === 'on a path') return proof
    }
    const rest = Math.max(deadline - performance.now(), 0)
    await sleep(Math.min(isWaiting ? pause.untilArchived : pause.untilFetched, rest))
  }
}

async function proveOrDoubt(...given: Parameters<typeof proveArchived>): Promise<Proof> {
  try {
    return await proveArchived(...given)
  } catch (error) {
    if (error instanceof PgarchError) return { outcome: 'not to be had', doubts: [error] }
    throw error
  }
}

/** Why PostgreSQL has not had it archived, as far as pushes and the worker told. */
async function whyWaiting({ dataDirectory, member }: Registered, config: Config): Promise<Proof> {
  const stateDirectory = stateDirectoryOf(config.stateDirectory, dataDirectory)
  const { failure } = await readHostArchiving(dataDirectory, stateDirectory, member)
  const hint = failure?.hint ?? undefined
  const why = failure && `${failure.walName} could not be archived: ${failure.reason}`
  const options = hint === undefined ? {} : { hint }
  const doubt = new PgarchError('unreachable', why ?? 'it was not archived yet', options)
  return { outcome: 'not to be had', doubts: [doubt] }
}
