import { PgarchError } from './errors.ts'

/** Where an SFTP server is, as `--ssh USER@HOST[:PORT]` says it. */
export interface SshAddress {
  readonly user: string
  /** A name or an address. */
  readonly host: string
  readonly port: number
}

/** `usage` unless it is USER@HOST, USER@HOST:PORT or USER@[ADDRESS]:PORT. */
export function parseSshAddress(text: string): SshAddress {
  const match = /^([^@\s]+)@(?:\[([0-9a-fA-F:.]+)\]|([^@:\s[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const [, user, address, name, port = '22'] = match ?? []
  const host = address ?? name
  if (user !== undefined && host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) {
    return { user, host, port: Number(port) }
  }
  throw new PgarchError('usage', `"${text}" is not an SSH address`, {
    hint: 'Write USER@HOST, USER@HOST:PORT, or USER@[IPV6-ADDRESS]:PORT.',
  })
}
