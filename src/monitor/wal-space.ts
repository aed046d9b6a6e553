import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../fs/errors.ts'

/** Of the file system that pg_wal lies on, which may be another one than the data directory's. */
export interface WalSpace {
  /** Bytes that the server may still write. */
  readonly free: number
  /** Bytes, without those that only root may write. */
  readonly total: number
}

/** `unusable` when it cannot be told. */
export async function readWalSpace(dataDirectory: string): Promise<WalSpace> {
  const directory = join(dataDirectory, 'pg_wal')
  const { bavail, bfree, blocks, bsize } = await statfs(directory).catch((thrown) => {
    throw fileError('look at', directory, thrown)
  })
  return { free: bavail * bsize, total: (blocks - bfree + bavail) * bsize }
}
