import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import type { Content } from './store.ts'

const chunkSize = 1024 * 1024

/** The WAL file in a stored file of this host, to be put elsewhere; a put verifies what it is given. */
export function storedContent(file: string): Content {
  return { open: () => unpack(file) }
}

async function* unpack(file: string): AsyncGenerator<Buffer, void> {
  const content = createZstdDecompress({ chunkSize })
  // What fails comes out of `content`.
  pipeline(createReadStream(file, { highWaterMark: chunkSize }), content, () => {})
  yield* content
}
