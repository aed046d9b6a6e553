import { crc32 } from 'node:zlib'
import type { Digest } from './store.ts'

/** The end of every stored file: one skippable frame (RFC 8878, section 3.1.2) of this many bytes. */
export const trailerSize = 512

const headerSize = 8
/** Any of 0x184D2A50 to 0x184D2A5F starts a skippable frame; this one is ours. */
const magic = 0x184d2a57

/** docs/stored-file.md promises this layout: a change of it is a new version. */
const version = 1

export function encodeTrailer(digest: Digest): Buffer {
  const facts = JSON.stringify({
    pgarch: version,
    name: digest.walName,
    size: digest.size,
    sha256: digest.sha256,
    system_identifier: digest.systemIdentifier,
  }).slice(0, -1)
  const trailer = Buffer.alloc(trailerSize, ' ')
  trailer.writeUInt32LE(magic, 0)
  trailer.writeUInt32LE(trailerSize - headerSize, 4)
  trailer.write(`${facts},"crc32":"${crc32(facts).toString(16).padStart(8, '0')}"}`, headerSize)
  trailer.write('\n', trailerSize - 1)
  return trailer
}

/** Undefined unless every byte is as `encodeTrailer` writes it. */
export function decodeTrailer(trailer: Buffer): Digest | undefined {
  const digest = parse(trailer.toString('utf8', headerSize))
  return digest !== undefined && encodeTrailer(digest).equals(trailer) ? digest : undefined
}

function parse(text: string): Digest | undefined {
  try {
    const { name, size, sha256, system_identifier: systemIdentifier } = JSON.parse(text)
    const strings = [name, sha256, systemIdentifier]
    if (!strings.every((value) => typeof value === 'string') || !Number.isInteger(size)) return
    return { walName: name, size, sha256, systemIdentifier }
  } catch {
    return undefined
  }
}
