import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { encode } from '../../src/stores/stored-file.ts'
import { storedFile } from './fleet.ts'
import { ownByUnprivileged } from './folder.ts'

/** Puts a stored file below a path's root, replacing what is there; returns its content's sha256. */
export async function putStored(
  root: string,
  fingerprint: string,
  file: { walName: string; bytes: Buffer; systemIdentifier: string },
): Promise<string> {
  const { walName, bytes, systemIdentifier } = file
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const digest = { walName, size: bytes.length, sha256, systemIdentifier }
  const content = {
    async *open() {
      yield bytes
    },
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of encode(content, digest, 1)) chunks.push(chunk)
  const path = storedFile(root, fingerprint, walName)
  const folder = dirname(path)
  if (mkdirSync(folder, { recursive: true }) !== undefined) {
    for (const one of [dirname(folder), folder]) ownByUnprivileged(one)
  }
  writeFileSync(path, Buffer.concat(chunks))
  ownByUnprivileged(path)
  return sha256
}
