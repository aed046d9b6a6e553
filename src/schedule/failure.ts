import { type Failure, PgarchError } from '../errors.ts'

interface Meaning {
  readonly failure: Failure
  readonly message?: string
  readonly hint?: string
}

const runInit = 'Run "pgarch init" once, as a superuser or a member of pgarch_admin.'

/** SQLSTATEs (manual, appendix A) by their five characters, or by class. */
const sqlStates: Record<string, Meaning> = {
  '28P01': {
    failure: 'unusable',
    hint: 'The password comes from the URL, PGPASSWORD or ~/.pgpass of the user that runs pgarch.',
  },
  '28': { failure: 'unusable', hint: 'See pg_hba.conf of the scheduling database.' },
  '3D000': { failure: 'unusable', hint: 'Name the database at the end of the URL, or create it.' },
  '3F000': { failure: 'unusable', message: 'it has no schema "pgarch"', hint: runInit },
  '42P01': { failure: 'unusable', hint: runInit },
  '42883': { failure: 'unusable', hint: runInit },
  '42501': {
    failure: 'unusable',
    hint: 'Hosts log in as pgarch_agent; administration needs a member of pgarch_admin, reading one of pgarch_monitor.',
  },
  '25006': {
    failure: 'unusable',
    hint: 'It is a standby: add the primary to the URL, and target_session_attrs=read-write.',
  },
  '57014': { failure: 'unreachable', message: 'it did not answer in time' },
  '08': { failure: 'unreachable' },
  '40': { failure: 'unreachable' },
  '53': { failure: 'unreachable' },
  '55P03': { failure: 'unreachable' },
  '57': { failure: 'unreachable' },
  '58': { failure: 'unreachable' },
}

/** What a person did wrong when one of our constraints says no. */
const constraints: Record<string, Meaning> = {
  arch_db_info_name_key: { failure: 'refused', message: 'another cluster has this name' },
  arch_db_info_address_key: {
    failure: 'refused',
    message: 'another cluster has this idc, vip and port',
  },
  arch_path_info_name_key: { failure: 'refused', message: 'another path has this name' },
  arch_path_info_uuid_key: { failure: 'refused', message: 'the place is a path already' },
  arch_path_info_ip_key: {
    failure: 'refused',
    message: 'another path has this address and root directory',
  },
  arch_path_info_host_key: {
    failure: 'refused',
    message: 'another path has this host and root directory',
  },
  arch_path_map_path_id_fkey: {
    failure: 'refused',
    message: 'the path is in the route of a cluster',
    hint: 'Take it out with "pgarch route remove" first.',
  },
  arch_copy_path_id_fkey: {
    failure: 'refused',
    message: 'the path holds archived files',
    hint: 'Use "pgarch path disable": no more files go there, and those that it holds can be fetched.',
  },
}

/** The fields of pg's DatabaseError that count here. */
interface DatabaseError extends Error {
  readonly code: string
  readonly hint?: string
  readonly constraint?: string
}

/**
 * Anything that pg or a socket threw, in pgarch's terms; `server` is `host:port`. Errors that the
 * functions of the schema raise (SQLSTATE class PA) are passed on as they are.
 */
export function scheduleFailure(thrown: unknown, server: string): PgarchError {
  if (thrown instanceof PgarchError) return thrown
  const error = thrown as Partial<DatabaseError> & Error
  const code = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? (error.code ?? '') : undefined
  if (code === undefined) {
    return new PgarchError(
      'unreachable',
      `scheduling database at ${server}: ${socketText(thrown)}`,
      {
        hint: 'Is it running there, and may this host connect?',
        cause: thrown,
      },
    )
  }
  const byConstraint = constraints[error.constraint ?? '']
  if (code.startsWith('PA') || byConstraint !== undefined) {
    const hint = byConstraint === undefined ? error.hint : byConstraint.hint
    return new PgarchError('refused', byConstraint?.message ?? error.message, {
      ...(hint !== undefined && { hint }),
      cause: thrown,
    })
  }
  const meaning = sqlStates[code] ?? sqlStates[code.slice(0, 2)] ?? { failure: 'unusable' }
  const hint = meaning.hint ?? error.hint
  return new PgarchError(
    meaning.failure,
    `scheduling database at ${server}: ${meaning.message ?? error.message}`,
    { ...(hint !== undefined && { hint }), cause: thrown },
  )
}

/** A name with several addresses fails with an AggregateError, whose own message is empty. */
function socketText(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(socketText).join('; ')
  return thrown instanceof Error ? thrown.message : String(thrown)
}
