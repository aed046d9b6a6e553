import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { NameSettings } from '../dns/ask.ts'
import { describeError, PgarchError } from '../errors.ts'
import { reach } from './reach.ts'

/** Types of keys to offer when none is pinned yet, preferred first. */
const usualAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

export type HostKeyAlgorithm = (typeof usualAlgorithms)[number]

/**
 * The host key that a server presents now, `ssh-ed25519 AAAA..`, for a person to confirm and pgarch to
 * pin. Nobody logs in. Rejects with `unreachable`.
 *
 * @param options.connectTimeout milliseconds
 */
export async function readHostKey(options: {
  host: string
  port: number
  connectTimeout: number
  names?: NameSettings
}): Promise<string> {
  const { host, port, connectTimeout, names = {} } = options
  const reasons: unknown[] = []
  try {
    const signal = AbortSignal.timeout(connectTimeout)
    for await (const { socket } of reach({ host, port }, names, connectTimeout, signal)) {
      try {
        return await presentedKey(socket, connectTimeout)
      } catch (thrown) {
        reasons.push(thrown)
      } finally {
        socket.destroy()
      }
    }
  } catch (thrown) {
    reasons.push(thrown)
  }
  const said = [...new Set(reasons.map(describeError))].join('; ')
  throw new PgarchError(
    'unreachable',
    `could not read the host key of ${host}, port ${port}: ${said}`,
    { cause: reasons.at(-1) },
  )
}

async function presentedKey(sock: Socket, readyTimeout: number): Promise<string> {
  const { default: ssh2 } = await import('ssh2')
  const client = new ssh2.Client()
  return await new Promise<string>((resolve, reject) => {
    // Also after it was told to refuse the key.
    client.on('error', reject)
    client.on('close', () => reject(new Error('connection closed')))
    client.connect({
      sock,
      username: 'pgarch',
      readyTimeout,
      algorithms: { serverHostKey: [...usualAlgorithms] },
      hostVerifier: (key: Buffer) => {
        resolve(formatHostKey(key))
        return false
      },
    })
  })
}

/** The fingerprint as OpenSSH prints it: `SHA256:` and base64 without padding. */
export function hostKeyFingerprint(hostKey: string): string {
  const digest = createHash('sha256').update(hostKeyBytes(hostKey)).digest('base64')
  return `SHA256:${digest.replace(/=+$/, '')}`
}

/** `ssh-ed25519 AAAA..` of a key as it goes over the wire (RFC 4253, section 6.6). */
export function formatHostKey(key: Buffer): string {
  const type = key.toString('latin1', 4, 4 + key.readUInt32BE(0))
  return `${type} ${key.toString('base64')}`
}

export function hostKeyBytes(hostKey: string): Buffer {
  return Buffer.from(hostKey.split(' ')[1] ?? '', 'base64')
}

/** What to offer so that the server presents the pinned key, and not another of its keys. */
export function algorithmsFor(hostKey: string): HostKeyAlgorithm[] {
  const type = hostKey.split(' ')[0]
  return usualAlgorithms.filter(
    (name) => name === type || (type === 'ssh-rsa' && /^rsa/.test(name)),
  )
}
