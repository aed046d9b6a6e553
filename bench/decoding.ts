import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { decode } from '../src/stores/stored-file.ts'

/**
 * node decoding.ts FILE...: unpacks and verifies stored segments, as a fetch does, from memory and to
 * nowhere, and prints how many it does in a second.
 */
const files = process.argv.slice(2).map((file) => ({
  walName: basename(file, '.zst'),
  bytes: readFileSync(file),
}))
const atOnce = 4
const pieceSize = 255 * 1024

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer, void> {
  for (let start = 0; start < bytes.length; start += pieceSize) {
    yield bytes.subarray(start, start + pieceSize)
  }
}

async function decodeAll(): Promise<number> {
  const waiting = [...files]
  const start = performance.now()
  const lane = async () => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      await decode(pieces(one.bytes), one.walName, () => {})
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return files.length / ((performance.now() - start) / 1000)
}

await decodeAll() // the first time memory is new, and the code is
console.log(await decodeAll())
