import { PgarchError } from '../errors.ts'

const sessionAttributes = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const
export type SessionAttributes = (typeof sessionAttributes)[number]

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

/** A connection URL of libpq, with the environment's defaults in it. */
export interface ScheduleAddress {
  /** In the order in which they are tried; a host that begins with `/` is a socket's directory. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  /** Its SRV records name the hosts, and `hosts` is empty; undefined: they are those of the URL. */
  readonly domain: string | undefined
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  readonly passwordFile: string | undefined
  readonly sessionAttributes: SessionAttributes
  readonly sslMode: SslMode
  /** File names; undefined means libpq's default below ~/.postgresql. */
  readonly sslRootCertificate: string | undefined
  readonly sslCertificate: string | undefined
  readonly sslKey: string | undefined
  /** For one host; undefined when it was not given, or 0. */
  readonly connectTimeoutSeconds: number | undefined
  readonly applicationName: string | undefined
  /** Command-line options for the backend, `-c name=value`. */
  readonly options: string | undefined
}

/** Parameter of the URL, and the environment variable that stands in for it. */
const parameters: Record<string, string> = {
  host: 'PGHOST',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  application_name: 'PGAPPNAME',
  options: 'PGOPTIONS',
}

/**
 * Reads `postgresql://user:password@host:port,host:port/database?parameter=value` as libpq does
 * (manual, section 34.1.1.2). `operatingSystemUser` is the default user. A URL that names no host takes them from
 * `domain`, if there is one, before PGHOST. Rejects with `usage`; no message repeats the URL, because a
 * password may be in it.
 */
export function parseScheduleAddress(
  url: string,
  environment: Readonly<Record<string, string | undefined>>,
  operatingSystemUser: string,
  domain?: string,
): ScheduleAddress {
  const given = splitUrl(url)
  const value = (name: string) =>
    given.get(name) || environment[parameters[name] ?? ''] || undefined
  const user = value('user') ?? operatingSystemUser
  const isFound = domain !== undefined && !given.get('host')
  return {
    hosts: isFound ? [] : pairHosts(value('host') ?? 'localhost', value('port') ?? '5432'),
    domain: isFound ? domain : undefined,
    database: value('dbname') ?? user,
    user,
    password: value('password'),
    passwordFile: value('passfile'),
    sessionAttributes: oneOf('target_session_attrs', value('target_session_attrs'), 'any', [
      ...sessionAttributes,
    ]),
    sslMode: oneOf('sslmode', value('sslmode'), 'prefer', [...sslModes]),
    sslRootCertificate: value('sslrootcert'),
    sslCertificate: value('sslcert'),
    sslKey: value('sslkey'),
    connectTimeoutSeconds: seconds(value('connect_timeout')),
    applicationName: value('application_name'),
    options: value('options'),
  }
}

/** The URL's own parameters by libpq's names; hosts and ports as comma-separated lists. */
function splitUrl(url: string): Map<string, string> {
  const match = /^postgres(?:ql)?:\/\/(?:([^/?#@]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null) {
    throw wrong('the URL of the scheduling database must begin with postgresql://')
  }
  const [, login = '', hostList = '', database = '', query = ''] = match
  const given = new Map<string, string>()
  const colon = login.indexOf(':')
  given.set('user', decode(colon < 0 ? login : login.slice(0, colon)))
  given.set('password', colon < 0 ? '' : decode(login.slice(colon + 1)))
  const hosts = hostList.split(',').map(splitHost)
  given.set('host', hosts.map(({ host }) => host).join(','))
  if (hosts.some(({ port }) => port !== '')) {
    given.set('port', hosts.map(({ port }) => port).join(','))
  }
  given.set('dbname', decode(database))
  for (const pair of query.split('&').filter((pair) => pair !== '')) {
    const [name = '', value = ''] = pair.split(/=(.*)/s).map(decode)
    if (parameters[name] === undefined) {
      throw wrong(`the URL of the scheduling database has an unknown parameter "${name}"`)
    }
    given.set(name, value)
  }
  return given
}

function splitHost(text: string): { host: string; port: string } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text)
  if (match === null) throw wrong('the URL of the scheduling database has a malformed host')
  return { host: decode(match[1] ?? match[2] ?? ''), port: match[3] ?? '' }
}

/** One port for all hosts, or one for each. */
function pairHosts(hostList: string, portList: string): { host: string; port: number }[] {
  const hosts = hostList.split(',')
  const ports = portList.split(',')
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw wrong(
      `the URL of the scheduling database has ${ports.length} ports for ${hosts.length} hosts`,
    )
  }
  return hosts.map((host, index) => {
    const text = (ports.length === 1 ? ports[0] : ports[index]) || '5432'
    const port = Number(text)
    if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
      throw wrong(`invalid port number "${text}" in the URL of the scheduling database`)
    }
    return { host: host || 'localhost', port }
  })
}

function oneOf<Value extends string>(
  name: string,
  text: string | undefined,
  otherwise: Value,
  allowed: readonly Value[],
): Value {
  if (text === undefined) return otherwise
  const value = allowed.find((candidate) => candidate === text)
  if (value === undefined) {
    throw wrong(`invalid ${name} "${text}" for the scheduling database`, allowed.join(', '))
  }
  return value
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) {
    throw wrong(`invalid connect_timeout "${text}" for the scheduling database`)
  }
  return Number(text) || undefined
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('the URL of the scheduling database has an invalid percent-encoded character')
  }
}

function wrong(message: string, allowed?: string): PgarchError {
  const hint =
    allowed === undefined
      ? 'Write it as libpq does: postgresql://user@host:port/database?sslmode=verify-full.'
      : `It can be one of ${allowed}.`
  return new PgarchError('usage', message, { hint })
}
