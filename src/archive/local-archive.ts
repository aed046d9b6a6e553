import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PgarchError } from '../errors.ts'
import { syncDirectory } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { log } from '../log.ts'
import {
  type LocalArchiveRecord,
  readLocalArchiveRecord,
  recordFile,
  writeLocalArchiveRecord,
} from '../postgres/local-archive-record.ts'
import { withPath } from '../resources.ts'
import type { CopyEvent } from '../schedule/types.ts'
import { localArchivePath } from '../stores/local-archive.ts'
import type { PathDescription, Store } from '../stores/store.ts'
import { storedName } from '../stores/stored-file.ts'
import type { Archiver } from './identify.ts'
import { listLocalFiles } from './local-files.ts'
import type { WalFile } from './wal-file.ts'

/**
 * Puts a file that no path took into the local archive, as durably and in the same form as on a path.
 * Undefined where none is set, or it does not take the file either; then the log says why. Rejects with
 * `conflict` when it holds other content under the name.
 */
export async function copyToLocalArchive(
  archiver: Archiver,
  { digest, content }: WalFile,
): Promise<CopyEvent | undefined> {
  const { member, config } = archiver
  if (config.localArchive === undefined) return undefined
  const { walName, size: walSize } = digest
  const name = storedName(member.fingerprint, walName)
  const start = performance.now()
  try {
    const path = await claimLocalArchive(archiver, config.localArchive)
    const { storedBytes } = await withPath(path, config, (store) =>
      store.put(name, content, digest),
    )
    const fullPath = `${path.rootPath}/${name}`
    log.warning(
      `no path took "${walName}": it is archived on this host alone, as "${fullPath}"`,
      'Mend a path. The next pushes bring it there; "pgarch local drain" does it at once.',
    )
    const durationMilliseconds = Math.round(performance.now() - start)
    const facts = { walName, walSize, storedBytes, durationMilliseconds, fullPath }
    const where = { pathId: null, status: 'local', error: null } as const
    return { eventId: randomUUID(), time: new Date(), ...facts, ...where }
  } catch (error) {
    if (!(error instanceof PgarchError) || error.failure === 'conflict') throw error
    log.warning(`the local archive did not take "${walName}" either: ${error.message}`, hint)
    return undefined
  }
}

const hint =
  "Is its directory there, its disk mounted, with room, and writable for the server's user?"

/**
 * Makes sure that the local archive is where the setting says, that it is fit, and this member's, and
 * remembers it: from then on a disk that is not mounted there is noticed. `refused` while another
 * directory, from before the setting was changed, still holds files.
 */
export async function claimLocalArchive(
  archiver: Archiver,
  directory: string,
): Promise<PathDescription> {
  const { stateDirectory, member, config } = archiver
  const known = await readLocalArchiveRecord(stateDirectory)
  if (known?.directory === directory) return localArchivePath(known, config.localReserve)
  if (known !== undefined) await requireEmpty(archiver, known)
  const record = { directory, uuid: member.memberId }
  const path = localArchivePath(record, config.localReserve)
  await makeRoot(path.rootPath)
  await withPath(path, config, claim, { unclaimed: true })
  await writeLocalArchiveRecord(stateDirectory, record)
  return path
}

async function claim(store: Store): Promise<void> {
  await store.probe()
  await store.claim()
}

/** Its parent, which may be a disk's root, is never made: what is not there is not mounted. */
async function makeRoot(rootPath: string): Promise<void> {
  try {
    await mkdir(rootPath, { mode: 0o700 })
  } catch (thrown) {
    if (!hasCode(thrown, 'EEXIST')) throw fileError('create directory', rootPath, thrown)
  }
  await syncDirectory(dirname(rootPath))
}

async function requireEmpty(archiver: Archiver, known: LocalArchiveRecord): Promise<void> {
  const { stateDirectory, config } = archiver
  const files = await listLocalFiles(localArchivePath(known, 0), config)
  if (files.length === 0) return
  throw new PgarchError(
    'refused',
    `"${known.directory}", which was the local archive until now, is not empty`,
    {
      hint: `Run "pgarch local drain" first. If that directory was moved with all that was in it, remove "${recordFile(stateDirectory)}" instead.`,
    },
  )
}
