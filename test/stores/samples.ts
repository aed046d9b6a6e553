import { createHash, randomBytes } from 'node:crypto'
import type { Content, Digest } from '../../src/stores/store.ts'

export const fingerprint = '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11'
export const segment = '000000010000000A0000002F'

export interface Sample {
  readonly bytes: Buffer
  readonly content: Content
  readonly digest: Digest
}

/** Bytes as a WAL file of that name. They arrive in uneven chunks, as from any source. */
export function sample(bytes: Buffer, walName: string = segment): Sample {
  return {
    bytes,
    content: { open: () => unevenly(bytes) },
    digest: {
      walName,
      size: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      systemIdentifier: '7239458234598234598',
    },
  }
}

export function randomSample(size: number, walName: string = segment): Sample {
  return sample(randomBytes(size), walName)
}

/** The same content, but before chunk `at` something happens. */
export function interrupted(of: Sample, at: number, happen: () => unknown): Content {
  return {
    async *open() {
      let chunks = 0
      for await (const chunk of unevenly(of.bytes)) {
        if (chunks++ === at) await happen()
        yield chunk
      }
    },
  }
}

async function* unevenly(bytes: Buffer): AsyncGenerator<Buffer, void> {
  const sizes = [700_000, 1024 * 1024, 12_345, 3_000_000]
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const end = start + (sizes[turn % sizes.length] as number)
    yield bytes.subarray(start, end)
    start = end
  }
}
