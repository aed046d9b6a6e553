import { createHash } from 'node:crypto'

/** Where sha256 is computed: where it is asked for, or on a thread beside. */
export interface Hashing {
  /** Memory that a hash can read. */
  allocate(bytes: number): Buffer
  open(): Hash
}

export interface Hash {
  /** Resolves when the chunk may be written to again. */
  update(chunk: Uint8Array): Promise<void>
  /** 64 lower-case hex digits. */
  digest(): Promise<string>
}

export const ownHashing: Hashing = {
  allocate: (bytes) => Buffer.allocUnsafeSlow(bytes),
  open() {
    const sha256 = createHash('sha256')
    return {
      update: async (chunk) => void sha256.update(chunk),
      digest: async () => sha256.digest('hex'),
    }
  },
}
