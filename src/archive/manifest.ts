import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'
import type { Route } from '../schedule/types.ts'
import { encodeManifest, manifestName } from '../stores/manifest.ts'
import type { Store } from '../stores/store.ts'
import type { Archiver } from './identify.ts'

/**
 * Leaves manifest.json beside the cluster's files, after the first of them: for people, and for a
 * rebuild. The state directory remembers which path has it, so that it costs a round trip once. The
 * file itself is archived, and a manifest that cannot be written only warns; the next push tries again.
 */
export async function keepManifest(
  { stateDirectory, member }: Archiver,
  { fingerprint, clusterName }: Route,
  store: Store,
): Promise<void> {
  const remembered = join(stateDirectory, 'manifests', `${fingerprint}.${store.path.uuid}`)
  if (existsSync(remembered)) return
  const { systemIdentifier, walSegmentSize } = member
  const manifest = { fingerprint, name: clusterName, systemIdentifier, walSegmentSize }
  try {
    await store.putText(manifestName(fingerprint), encodeManifest(manifest))
    await mkdir(dirname(remembered), { recursive: true, mode: 0o700 })
    await writeFile(remembered, '')
  } catch (error) {
    log.warning(`could not leave a manifest on path "${store.path.name}": ${describeError(error)}`)
  }
}
