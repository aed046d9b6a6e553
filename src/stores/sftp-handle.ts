import type { Stats } from 'ssh2'
import type { SftpConnection } from './sftp-connection.ts'

/**
 * An open file at an SFTP server, by single requests, which reject as SftpConnection.request does. Several
 * may be unanswered at once.
 */
export class SftpHandle {
  readonly #connection: SftpConnection
  readonly #handle: Buffer

  private constructor(connection: SftpConnection, handle: Buffer) {
    this.#connection = connection
    this.#handle = handle
  }

  static async open(
    connection: SftpConnection,
    path: string,
    flags: 'r' | 'r+' | 'w' | 'wx',
    mode?: number,
  ): Promise<SftpHandle> {
    const attributes = mode === undefined ? {} : { mode }
    const handle = await connection.request<Buffer>((sftp, callback) =>
      sftp.open(path, flags, attributes, callback),
    )
    return new SftpHandle(connection, handle)
  }

  /** Shorter than asked for only where the file ends. */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const read = await this.#connection.request<number>((sftp, callback) =>
        sftp.read(this.#handle, buffer, filled, length - filled, position + filled, callback),
      )
      if (read === 0) break
      filled += read
    }
    return buffer.subarray(0, filled)
  }

  /** From the beginning, by one request: a server gives at least 4096 bytes, where the file has them. */
  async readOnce(length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    const read = await this.#connection.request<number>((sftp, callback) =>
      sftp.read(this.#handle, buffer, 0, length, 0, callback),
    )
    return buffer.subarray(0, read)
  }

  write(position: number, chunk: Uint8Array): Promise<void> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    return this.#connection.request((sftp, callback) =>
      sftp.write(this.#handle, bytes, 0, bytes.length, position, callback),
    )
  }

  /** Bytes. */
  async size(): Promise<number> {
    const { size } = await this.#connection.request<Stats>((sftp, callback) =>
      sftp.fstat(this.#handle, callback),
    )
    return size
  }

  cutOff(size: number): Promise<void> {
    return this.#connection.request((sftp, callback) =>
      sftp.fsetstat(this.#handle, { size }, callback),
    )
  }

  sync(): Promise<void> {
    return this.#connection.request((sftp, callback) =>
      sftp.ext_openssh_fsync(this.#handle, callback),
    )
  }

  /** A file that was read, or is fsynced, is safe whatever its close says. */
  async close(): Promise<void> {
    const closing = this.#connection.request((sftp, callback) => sftp.close(this.#handle, callback))
    await closing.catch(() => {})
  }
}
