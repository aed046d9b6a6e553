import type { FileHandle } from 'node:fs/promises'
import { openCompressor } from '../stores/compress.ts'
import type { Hashing } from '../stores/hashing.ts'

export const chunkSize = 1024 * 1024

/** A larger one, of a cluster with larger segments, is compressed later, and not kept in memory. */
const largestKept = 16 * 1024 * 1024

/** One is read while another is hashed, and two are compressed. */
const buffersAFile = 3

/** How a file's bytes are hashed and compressed. */
export interface Reading {
  readonly hashing: Hashing
  /** Of zstd, for the frame. */
  readonly level: number
  /** Buffers that were used before: fresh memory costs about as much as reading into it. */
  readonly unused: Buffer[]
}

/** What came of reading a file, once: all of it belongs together, whatever happens to the file. */
export interface Read {
  readonly size: number
  /** 64 lower-case hex digits. */
  readonly sha256: string
  /** The content as one zstd frame, in pieces; of a large file there is none. */
  readonly frame?: readonly Uint8Array[]
}

/** @param size as it was before reading, in bytes */
export async function readOnce(file: FileHandle, size: number, reading: Reading): Promise<Read> {
  if (size > largestKept) return await eachChunk(file, reading, async () => {})
  const compressor = openCompressor(reading.level)
  try {
    const read = await eachChunk(file, reading, compressor.write)
    return { ...read, frame: await compressor.end() }
  } finally {
    compressor.destroy()
  }
}

/** Hashes every chunk while `use` has it as well. */
async function eachChunk(
  file: FileHandle,
  { hashing, unused }: Reading,
  use: (chunk: Uint8Array) => Promise<void>,
): Promise<{ size: number; sha256: string }> {
  const hash = hashing.open()
  const inUse: Promise<void>[] = []
  for (let size = 0; ; ) {
    if (inUse.length === buffersAFile) await inUse.shift()
    const buffer = unused.pop() ?? hashing.allocate(chunkSize)
    const { bytesRead } = await file.read(buffer, 0, chunkSize, size)
    const chunk = buffer.subarray(0, bytesRead)
    size += bytesRead
    if (bytesRead === 0) {
      unused.push(buffer)
      await Promise.all(inUse)
      return { size, sha256: await hash.digest() }
    }
    const done = Promise.all([use(chunk), hash.update(chunk)]).then(() => void unused.push(buffer))
    done.catch(() => {}) // it is awaited in its turn
    inUse.push(done)
  }
}
