import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { Schedule } from '../schedule/connect.ts'
import { type FoundFile, recordedFiles, recordFound } from '../schedule/rebuild.ts'
import type { Store } from '../stores/store.ts'
import { type StoredName, storedFiles } from '../stores/stored-files.ts'
import type { Survey } from './survey.ts'

/** Of one path, in files. */
export interface Counts {
  /** Recorded now. */
  recorded: number
  /** Recorded before. */
  known: number
  /** Other content than is recorded under the name. */
  conflicts: number
  /** No stored file of this cluster, by its trailer; or of a cluster that nobody knows. */
  unusable: number
}

/** Where a rebuild has got to, and what it met. */
export interface Reporter {
  advance(files: number): void
  problem(text: string): void
}

/** Files in one call to the scheduling database. */
const batchSize = 500
const filesInFlight = 8

/** Records everything that a path holds of these clusters, given with their system identifiers. */
export async function readPath(
  schedule: Schedule,
  { path, clusters }: Survey,
  systemIdentifiers: ReadonlyMap<string, string>,
  config: Config,
  reporter: Reporter,
): Promise<Counts> {
  const counts = { recorded: 0, known: 0, conflicts: 0, unusable: 0 }
  await withPath(path, config, async (store) => {
    for (const fingerprint of clusters.keys()) {
      const systemIdentifier = systemIdentifiers.get(fingerprint)
      for await (const batch of inBatches(storedFiles(store, fingerprint))) {
        if (systemIdentifier === undefined) {
          counts.unusable += batch.length
        } else {
          const known = await recordedFiles(schedule, path.id, fingerprint, batch)
          const missing = batch.filter(({ walName }) => !known.has(walName))
          const found = await look(store, missing, { fingerprint, systemIdentifier }, reporter)
          const conflicts = await recordFound(schedule, path.id, found)
          for (const { walName, sha256, claimedSha256 } of conflicts) {
            reporter.problem(
              `path "${path.name}" holds other content as "${walName}" of cluster ${fingerprint}: ` +
                `sha256 ${sha256}, not ${claimedSha256}`,
            )
          }
          counts.known += known.size
          counts.conflicts += conflicts.length
          counts.recorded += found.length - conflicts.length
          counts.unusable += missing.length - found.length
        }
        reporter.advance(batch.length)
      }
    }
  })
  return counts
}

interface Owner {
  readonly fingerprint: string
  readonly systemIdentifier: string
}

/** What the files are, several at a time; without those that cannot be one of the owner's. */
async function look(
  store: Store,
  files: readonly StoredName[],
  owner: Owner,
  reporter: Reporter,
): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const waiting = files.values()
  const worker = async () => {
    for (const file of waiting) {
      const one = await lookAt(store, file, owner).catch((error: unknown) => {
        if (!(error instanceof PgarchError) || error.failure !== 'damaged') throw error
        reporter.problem(describeError(error))
      })
      if (one !== undefined) found.push(one)
    }
  }
  await Promise.all(Array.from({ length: filesInFlight }, worker))
  return found
}

/** Undefined for a file that is gone again: it was set aside meanwhile. */
async function lookAt(
  store: Store,
  { name, walName }: StoredName,
  { fingerprint, systemIdentifier }: Owner,
): Promise<FoundFile | undefined> {
  const digest = await store.inspect(name)
  if (digest === 'absent') return undefined
  if (digest.systemIdentifier !== systemIdentifier) {
    throw new PgarchError(
      'damaged',
      `path "${store.path.name}": "${name}" is of the cluster with system identifier ` +
        `${digest.systemIdentifier}, not ${systemIdentifier}`,
    )
  }
  const history = walName.endsWith('.history') ? await contentOf(store, name) : null
  const { sha256, size: walSize, storedBytes } = digest
  return { fingerprint, walName, sha256, walSize, storedBytes, history }
}

async function contentOf(store: Store, name: string): Promise<Buffer | null> {
  const folder = await mkdtemp(join(tmpdir(), 'pgarch-rebuild-'))
  try {
    const destination = join(folder, 'history')
    return (await store.get(name, destination)) === 'absent' ? null : await readFile(destination)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function* inBatches<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item[], void> {
  let batch: Item[] = []
  for await (const item of items) {
    if (batch.push(item) < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
