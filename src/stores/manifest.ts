import { isWalSegmentSize } from '../wal/names.ts'

/** Whose the files in a fingerprint's directory are, as its manifest.json says. */
export interface Manifest {
  /** uuid */
  readonly fingerprint: string
  /** What the cluster was called when its first file came to the path. */
  readonly name: string
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** Bytes. */
  readonly walSegmentSize: number
}

/** docs/stored-file.md promises the form: a change of it is a new version. */
const version = 1

/** Relative to the path's root. */
export function manifestName(fingerprint: string): string {
  return `${fingerprint}/manifest.json`
}

export function encodeManifest(manifest: Manifest): string {
  const { fingerprint, name, systemIdentifier, walSegmentSize } = manifest
  const fields = { version, fingerprint, name, systemIdentifier, walSegmentSize }
  return `${JSON.stringify(fields, undefined, 2)}\n`
}

/** Undefined unless it is one of this version, and of this cluster. */
export function decodeManifest(text: string, fingerprint: string): Manifest | undefined {
  try {
    const { name, systemIdentifier, walSegmentSize, ...rest } = JSON.parse(text)
    const strings = [name, systemIdentifier]
    if (rest.version !== version || rest.fingerprint !== fingerprint) return undefined
    if (!strings.every((one) => typeof one === 'string')) return undefined
    // Somebody may have written it by hand; the scheduling database takes no other name.
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return undefined
    if (!isSystemIdentifier(systemIdentifier) || !isWalSegmentSize(walSegmentSize)) return undefined
    return { fingerprint, name, systemIdentifier, walSegmentSize }
  } catch {
    return undefined
  }
}

function isSystemIdentifier(text: string): boolean {
  return /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n
}
