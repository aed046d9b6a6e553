import { path as absolutePath, text } from './settings.ts'
import { parseSshAddress } from './ssh-address.ts'

/**
 * A path as the configuration file declares it, for a restore without the scheduling database; in the
 * terms of a PathDescription.
 */
export interface DeclaredPath {
  /** Below 0, so that it is no id of the scheduling database. */
  readonly id: number
  readonly uuid: string
  readonly name: string
  readonly kind: 'sftp' | 'local'
  readonly sshHost: string | null
  readonly sshPort: number | null
  readonly sshUser: string | null
  readonly hostKey: string | null
  readonly rootPath: string
  /** Nothing is put there. */
  readonly reserveBytes: 0
}

const keys = ['name', 'uuid', 'root', 'ssh', 'host_key']

/** The `[[path]]` tables. Throws an Error that says which one is wrong, and what was expected. */
export function declaredPaths(tables: unknown): DeclaredPath[] {
  if (!Array.isArray(tables)) throw new Error('expected [[path]], with two brackets')
  const paths = tables.map(declaredPath)
  for (const [index, { name, uuid }] of paths.entries()) {
    const before = paths.slice(0, index)
    if (before.some((one) => one.name === name || one.uuid === uuid)) {
      throw new Error(`path "${name}" is declared twice`)
    }
  }
  return paths
}

function declaredPath(table: Record<string, unknown>, index: number): DeclaredPath {
  const what = `path ${typeof table.name === 'string' ? `"${table.name}"` : index + 1}`
  const read = <Value>(key: string, parse: (value: unknown) => Value): Value => {
    try {
      return parse(table[key])
    } catch (error) {
      throw new Error(`${what}: ${key}: ${(error as Error).message}`)
    }
  }
  const unknown = Object.keys(table).find((key) => !keys.includes(key))
  if (unknown !== undefined) throw new Error(`${what}: unrecognized "${unknown}"`)
  const isLocal = table.ssh === undefined
  if (isLocal && table.host_key !== undefined) throw new Error(`${what}: host_key without ssh`)
  const ssh = isLocal ? undefined : read('ssh', (value) => parseSshAddress(text(value)))
  return {
    id: -1 - index,
    uuid: read('uuid', uuid),
    name: read('name', text),
    kind: isLocal ? 'local' : 'sftp',
    sshHost: ssh?.host ?? null,
    sshPort: ssh?.port ?? null,
    sshUser: ssh?.user ?? null,
    hostKey: isLocal ? null : read('host_key', hostKey),
    rootPath: read('root', absolutePath),
    reserveBytes: 0,
  }
}

function uuid(value: unknown): string {
  const given = text(value).toLowerCase()
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(given)) return given
  throw new Error(`"${value}" is not a uuid, as pgarch-path at the path's root has it`)
}

/** Without it anybody could pretend to be the path. */
function hostKey(value: unknown): string {
  const match = /^([a-z][\w@.-]*) +([A-Za-z0-9+/]+=*)( |$)/.exec(text(value))
  if (match !== null) return `${match[1]} ${match[2]}`
  throw new Error('expected the whole key, "ssh-ed25519 AAAA..", as in known_hosts')
}
