import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Config } from '../config.ts'
import { PgarchError } from '../errors.ts'
import type { Registered } from '../postgres/registered.ts'
import { stateDirectoryOf } from '../postgres/state-directory.ts'
import { storedName } from '../stores/stored-file.ts'
import { askArchive } from './ask-archive.ts'
import { ownArchive } from './own-archive.ts'
import { ownSources } from './sources.ts'
import type { Target } from './target.ts'

/** What came of asking for a file, as a restore would: where it is, or why it is not to be had. */
export type Proof =
  | { readonly outcome: 'on a path' | 'in the local archive'; readonly sha256: string }
  | { readonly outcome: 'not to be had'; readonly doubts: readonly PgarchError[] }

/**
 * Fetches a WAL file of this host's own cluster from where it is archived, verifies it, and keeps nothing
 * of it. What lies in this host's local archive is not on a path yet, as the one is removed for the other.
 *
 * @param deadline milliseconds, after which no further path is opened
 */
export async function proveArchived(
  walName: string,
  registered: Registered,
  config: Config,
  deadline: number,
): Promise<Proof> {
  const folder = await mkdtemp(join(tmpdir(), 'pgarch-check-'))
  try {
    const target = targetIn(folder, walName, registered, config)
    const { outcome, doubts } = await askArchive(walName, target, config, deadline)
    if (outcome !== 'placed') return { outcome: 'not to be had', doubts }
    const sha256 = await digestOf(target.walPath)
    const isLocal = await liesInOwnArchive(walName, target, config)
    return { outcome: isLocal ? 'in the local archive' : 'on a path', sha256 }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function targetIn(
  folder: string,
  walName: string,
  { dataDirectory, member }: Registered,
  config: Config,
): Target {
  const { fingerprint, systemIdentifier } = member
  return {
    role: 'pg_rewind',
    cluster: { systemIdentifier, clusterName: null, fingerprint },
    walPath: join(folder, walName),
    stateDirectory: stateDirectoryOf(config.stateDirectory, dataDirectory),
    member,
    rests: undefined,
    without: [],
    includeShipped: false,
    sources: ownSources(config),
  }
}

async function liesInOwnArchive(walName: string, target: Target, config: Config): Promise<boolean> {
  const own = await ownArchive(target)
  if (own instanceof PgarchError) throw own
  if (own === undefined) return false
  const name = storedName(target.member?.fingerprint ?? '', walName)
  const found = await target.sources.withPath(own.path, config, (store) => store.examine(name))
  return found !== 'absent'
}

/** sha256 in 64 lower-case hex digits. */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
