import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { ArchivePath } from '../schedule/paths.ts'
import { decodeManifest, type Manifest, manifestName } from '../stores/manifest.ts'
import type { Store } from '../stores/store.ts'
import { storedFiles } from '../stores/stored-files.ts'

/** What lies on one path, by its directories alone. */
export interface Survey {
  readonly path: ArchivePath
  /** Stored files. */
  readonly files: number
  /** Fingerprint by fingerprint; undefined where the directory has no manifest that can be used. */
  readonly clusters: ReadonlyMap<string, Manifest | undefined>
}

/** Rejects as the store does, when any of it cannot be read. */
export async function surveyPath(path: ArchivePath, config: Config): Promise<Survey> {
  return await withPath(path, config, async (store) => {
    const clusters = new Map<string, Manifest | undefined>()
    let files = 0
    for (const fingerprint of (await store.clusters()).sort()) {
      let found = 0
      for await (const _ of storedFiles(store, fingerprint)) found++
      // A directory that was made, and nothing more, needs no cluster.
      if (found > 0) clusters.set(fingerprint, await readManifest(store, fingerprint))
      files += found
    }
    return { path, files, clusters }
  })
}

async function readManifest(store: Store, fingerprint: string): Promise<Manifest | undefined> {
  try {
    return decodeManifest(await store.readText(manifestName(fingerprint)), fingerprint)
  } catch (error) {
    if (error instanceof PgarchError && error.failure === 'unusable') return undefined
    throw error
  }
}
