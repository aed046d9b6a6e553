import { userInfo } from 'node:os'
import { PgarchError } from '../errors.ts'
import { parseScheduleAddress, type ScheduleAddress } from './address.ts'
import {
  type Connection,
  connectToHost,
  nameServer,
  type Schedule,
  type ScheduleSettings,
} from './connection.ts'
import { scheduleFailure } from './failure.ts'
import { discover, follow, type Place, placesOf } from './places.ts'

export type { Schedule, ScheduleSettings } from './connection.ts'

/** The newest migration that this program was written for. */
const knownSchemaVersion = 9

/**
 * Connects to the first host, by the first of its addresses, that answers and has the wanted session
 * attributes, checks that schema and program fit, calls, and disconnects. Rejects with `unreachable`,
 * `unusable` or `usage`; whatever `fn` throws passes through.
 */
export async function withSchedule<Result>(
  settings: ScheduleSettings,
  fn: (schedule: Schedule) => Promise<Result>,
): Promise<Result> {
  const { url, domain } = settings
  const address = parseScheduleAddress(url, process.env, userInfo().username, domain)
  const connection = await connectToAny(address, settings)
  try {
    if (settings.purpose !== 'init') await requireKnownSchema(connection.schedule)
    return await fn(connection.schedule)
  } finally {
    connection.close()
  }
}

async function connectToAny(
  address: ScheduleAddress,
  settings: ScheduleSettings,
): Promise<Connection> {
  const deadline = performance.now() + settings.timeoutMilliseconds
  const wanted = address.sessionAttributes
  const rounds = wanted === 'prefer-standby' ? (['standby', 'any'] as const) : [wanted]
  const discovery = await discover(address, settings)
  const hosts = discovery?.services ?? address.hosts
  const tries = rounds.flatMap((round) => hosts.map((host) => ({ round, host })))
  const failures: PgarchError[] = []
  for (const [index, { round, host }] of tries.entries()) {
    // A host that does not answer leaves the others their share of the time.
    const expires = performance.now() + (deadline - performance.now()) / (tries.length - index)
    try {
      for await (const place of placesOf(host, settings, expires)) {
        const found = await connectTo(address, { ...host, ...place }, round, settings, expires)
        if (!(found instanceof PgarchError)) {
          await follow(found, { ...host, ...place }, discovery, settings)
          return found
        }
        failures.push(found)
      }
    } catch (thrown) {
      const failure = scheduleFailure(thrown, nameServer(host))
      // As libpq: a host that answers and refuses ends the search; a wrong password stays wrong.
      if (failure.failure !== 'unreachable') throw failure
      failures.push(failure)
    }
  }
  throw summarize(failures)
}

/** Why it is to be looked for elsewhere, where it is. Throws what ends the search. */
async function connectTo(
  address: ScheduleAddress,
  place: Place & { host: string; port: number },
  wanted: ScheduleAddress['sessionAttributes'],
  settings: ScheduleSettings,
  expires: number,
): Promise<Connection | PgarchError> {
  const share = (expires - performance.now()) / place.left
  const own = (address.connectTimeoutSeconds ?? Number.POSITIVE_INFINITY) * 1000
  const failed = (thrown: unknown) => scheduleFailure(thrown, nameServer(place))
  try {
    const connection = await connectToHost(address, place, settings, Math.min(share, own))
    const mismatch = await sessionMismatch(connection.schedule, wanted).catch(failed)
    if (mismatch === undefined) return connection
    connection.close()
    return mismatch
  } catch (thrown) {
    const failure = failed(thrown)
    if (failure.failure !== 'unreachable') throw failure
    return failure
  }
}

function summarize(failures: readonly PgarchError[]): PgarchError {
  const [first] = failures
  if (first !== undefined && failures.length === 1) return first
  const messages = [...new Set(failures.map(({ message }) => message))]
  return new PgarchError('unreachable', messages.join('; '), {
    ...(first?.hint !== undefined && { hint: first.hint }),
  })
}

/** What is wrong with this session, if it has not the wanted attributes. */
async function sessionMismatch(
  schedule: Schedule,
  wanted: ScheduleAddress['sessionAttributes'],
): Promise<PgarchError | undefined> {
  if (wanted === 'any') return undefined
  const [row] = await schedule.query<{ standby: boolean; readOnly: boolean }>(
    `select pg_catalog.pg_is_in_recovery() as standby,
            pg_catalog.current_setting('transaction_read_only')::bool as "readOnly"`,
  )
  const standby = row?.standby === true
  const readOnly = row?.readOnly === true
  const fits = {
    'read-write': !readOnly,
    'read-only': readOnly,
    primary: !standby,
    standby,
    'prefer-standby': standby,
  }[wanted]
  if (fits) return undefined
  const is = wanted.startsWith('read') ? `read-${readOnly ? 'only' : 'write'}` : 'primary'
  const found = wanted === 'primary' ? 'standby' : is
  return new PgarchError(
    'unreachable',
    `scheduling database at ${schedule.server}: session is ${found}, not ${wanted}`,
    { hint: 'The URL asks for it with target_session_attrs.' },
  )
}

async function requireKnownSchema(schedule: Schedule): Promise<void> {
  const [row] = await schedule.query<{ version: number; oldest: number }>(
    // Compiling a statement takes seconds where nobody has analyzed the tables yet; none here needs it.
    'set jit = off; select version, oldest_client as oldest from pgarch.schema_version()',
  )
  const { version = 0, oldest = 0 } = row ?? {}
  if (version < knownSchemaVersion) {
    throw new PgarchError(
      'unusable',
      `scheduling database at ${schedule.server}: schema version ${version} is older than this pgarch needs, which is ${knownSchemaVersion}`,
      { hint: 'Run "pgarch init" of this version once, as a member of pgarch_admin.' },
    )
  }
  if (oldest > knownSchemaVersion) {
    throw new PgarchError(
      'unusable',
      `scheduling database at ${schedule.server}: schema version ${version} is too new for this pgarch, which knows ${knownSchemaVersion}`,
      { hint: 'Install a newer pgarch on this host.' },
    )
  }
}
