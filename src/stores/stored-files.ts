import { parseWalName } from '../wal/names.ts'
import type { Store } from './store.ts'
import { storedName } from './stored-file.ts'

/** A stored file, as it is listed. */
export interface StoredName {
  /** Relative to the root. */
  readonly name: string
  readonly walName: string
  readonly storedBytes: number
}

/** Of one cluster; whatever else lies there is passed over. */
export async function* storedFiles(
  store: Store,
  fingerprint: string,
): AsyncGenerator<StoredName, void> {
  for await (const { name, size } of store.list(fingerprint)) {
    const walName = name.slice(name.lastIndexOf('/') + 1).replace(/\.zst$/, '')
    if (parseWalName(walName) === undefined) continue
    if (storedName(fingerprint, walName) === name) yield { name, walName, storedBytes: size }
  }
}
