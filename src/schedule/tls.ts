import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { PgarchError } from '../errors.ts'
import type { ScheduleAddress } from './address.ts'

/**
 * How to try one host, in order, as sslmode asks (manual, section 34.19): false is without TLS. The
 * second is tried only when the server refuses the first for its lack, or its use, of encryption.
 */
export async function tlsAttempts(
  address: ScheduleAddress,
  host: string,
): Promise<(ConnectionOptions | false)[]> {
  const { sslMode } = address
  if (sslMode === 'disable' || host.startsWith('/')) return [false]
  const tls = await tlsOptions(address)
  if (sslMode === 'allow') return [false, tls]
  if (sslMode === 'prefer') return [tls, false]
  return [tls]
}

async function tlsOptions(address: ScheduleAddress): Promise<ConnectionOptions> {
  const { sslMode, sslRootCertificate, sslCertificate, sslKey } = address
  const certificate = await readPem(sslCertificate, 'postgresql.crt')
  const key = certificate === undefined ? undefined : await readPem(sslKey, 'postgresql.key')
  const client = { ...(certificate && { cert: certificate }), ...(key && { key }) }
  if (sslMode === 'verify-full' && sslRootCertificate === 'system') return client

  const roots = await readPem(sslRootCertificate, 'root.crt')
  const verifies = sslMode === 'verify-ca' || sslMode === 'verify-full'
  if (verifies && roots === undefined) {
    throw new PgarchError('usage', `sslmode=${sslMode} needs a root certificate`, {
      hint: 'Name its file with sslrootcert, or put it into ~/.postgresql/root.crt.',
    })
  }
  // libpq takes "require" for "verify-ca" where there is a root certificate, and so do we.
  if (roots === undefined || (sslMode !== 'require' && !verifies)) {
    return { ...client, rejectUnauthorized: false }
  }
  const anyName = sslMode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }
  return { ...client, ca: roots, ...anyName }
}

/** A file that was named must be there; libpq's default one may be missing. */
async function readPem(named: string | undefined, standard: string): Promise<Buffer | undefined> {
  const file = named ?? join(homedir(), '.postgresql', standard)
  try {
    return await readFile(file)
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    if (named === undefined && missing) return undefined
    throw new PgarchError('usage', `could not read "${file}" for TLS`, { cause })
  }
}
