import type { FileHandle } from 'node:fs/promises'

/**
 * write(2) may write less than it was given, as on a disk that becomes full.
 *
 * @param at in the file, bytes; without it where the last write ended
 */
export async function writeAll(file: FileHandle, bytes: Uint8Array, at?: number): Promise<void> {
  for (let start = 0; start < bytes.length; ) {
    const position = at === undefined ? null : at + start
    start += (await file.write(bytes, start, null, position)).bytesWritten
  }
}
