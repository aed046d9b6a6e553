import { describeError, PgarchError } from '../errors.ts'
import type { SftpConnection } from './sftp-connection.ts'
import type { PathDescription } from './store.ts'

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 7). */
export const status = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const

/** ST_RDONLY of statvfs(3), as statvfs@openssh.com gives it. */
const readOnlyFlag = 1
/** A request of 255 KiB that did not fit leaves less than this. */
const nothingLeft = 1024 * 1024

export function isStatus(thrown: unknown, code: number): boolean {
  return thrown instanceof Error && (thrown as { code?: unknown }).code === code
}

/** An extension that the server does not offer, by its own word or by ssh2's, which did not ask then. */
export function isUnsupported(thrown: unknown): boolean {
  const isFromSsh2 =
    thrown instanceof Error && /does not support this extended/.test(thrown.message)
  return isFromSsh2 || isStatus(thrown, status.unsupported)
}

/**
 * The error to throw for a request that the server refused. OpenSSH's server answers "Failure" alike
 * for a full disk, no inodes and a read-only file system: its statvfs tells them apart.
 */
export async function explain(
  connection: SftpConnection,
  path: PathDescription,
  what: string,
  thrown: unknown,
): Promise<unknown> {
  if (thrown instanceof PgarchError) return thrown
  const unusable = (reason: string) =>
    new PgarchError('unusable', `path "${path.name}": ${what}: ${reason}`, { cause: thrown })
  if (isStatus(thrown, status.noSuchFile)) return unusable('no such file or directory')
  if (isStatus(thrown, status.permissionDenied)) return unusable('permission denied')
  if (!isStatus(thrown, status.failure)) return unusable(describeError(thrown))
  const system = await connection
    .request<Record<string, number>>((sftp, callback) =>
      sftp.ext_openssh_statvfs(path.rootPath, callback),
    )
    .catch(() => undefined)
  if (system === undefined) return unusable('the server says no more than "failure"')
  const { f_flag = 0, f_bavail = 0, f_frsize = 0, f_favail = 0, f_files = 0 } = system
  if ((f_flag & readOnlyFlag) !== 0) return unusable('read-only file system')
  if (f_bavail * f_frsize < nothingLeft) return unusable('no space left on device')
  if (f_files > 0 && f_favail === 0) return unusable('no inodes left on device')
  return unusable('the server says no more than "failure"; a disk quota is one cause')
}
