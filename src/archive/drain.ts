import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { forgetLocalArchive, readLocalArchiveRecord } from '../postgres/local-archive-record.ts'
import { withPath } from '../resources.ts'
import type { Rests } from '../schedule/rests.ts'
import { localArchivePath } from '../stores/local-archive.ts'
import type { PathDescription } from '../stores/store.ts'
import { concernsOneFile, drainFile } from './drain-file.ts'
import { ifNobodyDrains, withDrainLock } from './drain-lock.ts'
import type { Archiver } from './identify.ts'
import { claimLocalArchive } from './local-archive.ts'
import { filesIn, type LocalFile, listLocalFiles } from './local-files.ts'

/** What a push does besides its own file: PostgreSQL waits for it. */
const few = { files: 4, milliseconds: 2000 }

/** A file that stays in the local archive, and why. */
export interface Stayed {
  readonly walName: string
  readonly error: PgarchError
}

export interface Drained {
  /** Names of WAL files that are on a path now. */
  readonly drained: readonly string[]
  readonly stayed: readonly Stayed[]
  /** Why the rest was not tried; null when everything was. */
  readonly stopped: PgarchError | null
}

/**
 * Once a path has taken a file: brings a few from the local archive there, too, and gets a local
 * archive ready that was configured since. Never rejects, because the file that was pushed is safe; a
 * file that cannot be drained is logged, and rests.
 */
export async function drainSome(archiver: Archiver): Promise<void> {
  const { stateDirectory, config } = archiver
  try {
    const known = await readLocalArchiveRecord(stateDirectory)
    if (known !== undefined) {
      const path = localArchivePath(known, config.localReserve)
      await ifNobodyDrains(stateDirectory, () => drainFew(archiver, path))
    }
    if (config.localArchive !== undefined) await claimLocalArchive(archiver, config.localArchive)
  } catch (error) {
    if (error instanceof PgarchError) log.warning(`local archive: ${error.message}`, error.hint)
    else log.error(error)
  }
}

async function drainFew(archiver: Archiver, path: PathDescription): Promise<void> {
  const { member, rests, stateDirectory, config } = archiver
  const deadline = performance.now() + few.milliseconds
  await withPath(path, config, async (store) => {
    const drained: string[] = []
    for await (const file of filesIn(store)) {
      if (drained.length === few.files || performance.now() > deadline) break
      if (file.fingerprint !== member.fingerprint || rests.isResting(restOf(file))) continue
      try {
        await drainFile(archiver, store, file)
        drained.push(file.walName)
        rests.note(restOf(file), 'worked')
      } catch (error) {
        if (!concernsOneFile(error)) throw error
        rests.note(restOf(file), 'failed')
        log.error(stays(file, error))
      }
    }
    if (drained.length > 0)
      log.info(`brought from the local archive to a path: ${drained.join(', ')}`)
  })
  if (config.localArchive !== undefined) return
  // It is not used any more, and fetch need not ask it either.
  if ((await listLocalFiles(path, config)).length === 0) await forgetLocalArchive(stateDirectory)
}

/** Brings all of the local archive to a path, now; what stays, and why, is in the answer. */
export async function drainAll(archiver: Archiver): Promise<Drained> {
  const { stateDirectory, config } = archiver
  const known = await readLocalArchiveRecord(stateDirectory)
  if (known === undefined) return { drained: [], stayed: [], stopped: null }
  const path = localArchivePath(known, config.localReserve)
  return await withDrainLock(stateDirectory, async () => {
    const files = await listLocalFiles(path, config)
    return await drainFiles({ ...archiver, rests: awake(archiver.rests) }, path, files)
  })
}

async function drainFiles(
  archiver: Archiver,
  path: PathDescription,
  files: readonly LocalFile[],
): Promise<Drained> {
  const drained: string[] = []
  const stayed: Stayed[] = []
  return await withPath(path, archiver.config, async (store) => {
    for (const file of files) {
      const { walName } = file
      if (file.fingerprint !== archiver.member.fingerprint) {
        stayed.push({ walName, error: stays(file, ofOtherCluster(file)) })
        continue
      }
      try {
        await drainFile(archiver, store, file)
        drained.push(walName)
      } catch (error) {
        if (!(error instanceof PgarchError)) throw error
        if (!concernsOneFile(error)) return { drained, stayed, stopped: error }
        stayed.push({ walName, error: stays(file, error) })
      }
    }
    return { drained, stayed, stopped: null }
  })
}

/** From before pg_upgrade, say: this membership does not speak for it. */
function ofOtherCluster({ fingerprint, fullPath }: LocalFile): PgarchError {
  return new PgarchError('refused', `it is of the cluster with fingerprint ${fingerprint}`, {
    hint: `Copy "${fullPath}" to the same place, from the fingerprint on, below a path's root.`,
  })
}

/** A person wants everything tried now, but nothing twice that fails now. */
function awake(rests: Rests): Rests {
  const failed = new Set<string>()
  return {
    isResting: (name) => failed.has(name),
    note(name, outcome) {
      if (outcome === 'failed') failed.add(name)
      rests.note(name, outcome)
    },
    save: () => rests.save(),
  }
}

/** Among what rests, see rests.ts. */
function restOf({ walName }: LocalFile): string {
  return `local ${walName}`
}

function stays({ walName }: LocalFile, { failure, message, hint }: PgarchError): PgarchError {
  return new PgarchError(failure, `"${walName}" stays in the local archive: ${message}`, {
    ...(hint !== undefined && { hint }),
  })
}
