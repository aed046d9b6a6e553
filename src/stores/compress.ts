import { once } from 'node:events'
import { constants, createZstdCompress } from 'node:zlib'

/** Of what comes out at once: as much as one request of SFTP carries. Its memory is all used. */
const pieceSize = 255 * 1024

export function zstdParameters(level: number): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
}

export interface Compressor {
  /** Resolves when the chunk was compressed, and may be written to again. */
  write(chunk: Uint8Array): Promise<void>
  /** Resolves to all pieces of the frame, in order. */
  end(): Promise<readonly Uint8Array[]>
  destroy(): void
}

/**
 * Makes one zstd frame, on the thread pool. Each context and each buffer costs fresh memory, which is
 * dear; so there is one for a whole file.
 *
 * @param level of zstd, 1 to 19
 */
export function openCompressor(level: number): Compressor {
  const stream = createZstdCompress({ params: zstdParameters(level), chunkSize: pieceSize })
  const pieces: Uint8Array[] = []
  stream.on('data', (piece: Uint8Array) => pieces.push(piece))
  const ended = once(stream, 'end')
  ended.catch(() => {}) // `write` and `end` tell
  return {
    write: (chunk) =>
      new Promise((resolve, reject) => {
        stream.write(chunk, (error) => (error ? reject(error) : resolve()))
      }),
    async end() {
      stream.end()
      await ended
      return pieces
    },
    destroy: () => stream.destroy(),
  }
}
