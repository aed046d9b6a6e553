import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import type { CopyEvent } from '../schedule/types.ts'
import type { Digest, Store } from '../stores/store.ts'
import { storedContent } from '../stores/stored-content.ts'
import { storedName } from '../stores/stored-file.ts'
import { parseWalName } from '../wal/names.ts'
import { copyToRoute } from './copy.ts'
import type { Archiver } from './identify.ts'
import type { LocalFile } from './local-files.ts'
import { record } from './record.ts'
import { takeRouteAgain } from './take-route.ts'
import { isArchived, requireArchived, warnOfFailures } from './tries.ts'
import { claimOf, isEmptied, type WalFile } from './wal-file.ts'

/**
 * Brings one file of the local archive to a path: verify, claim, store, record, and only then remove.
 * Killed between any two of these it is simply done again: what is stored already is found stored.
 * Rejects when the file stays where it is.
 */
export async function drainFile(
  archiver: Archiver,
  local: Store,
  { walName, fingerprint, fullPath }: LocalFile,
): Promise<void> {
  const name = storedName(fingerprint, walName)
  const examined = await local.examine(name)
  if (examined === 'absent') return
  const { digest } = examined
  const content = storedContent(fullPath)
  const isHistory = parseWalName(walName)?.kind === 'history'
  const history = isHistory ? await buffer(content.open()) : null
  const file = { digest, content, history }
  try {
    await bring(archiver, file, fullPath)
  } catch (thrown) {
    if (!concernsOneFile(thrown) || thrown.failure !== 'conflict' || !isEmptied(file)) throw thrown
    log.warning(`"${walName}" is empty, and counts as drained: ${thrown.message}`)
  }
  await local.remove(name)
}

async function bring(archiver: Archiver, file: WalFile, fullPath: string): Promise<void> {
  const { digest } = file
  const claim = claimOf(file)
  const { route, source } = await takeRouteAgain(archiver, claim)
  const tries = await copyToRoute(archiver, route, file)
  warnOfFailures(tries)
  const events = isArchived(tries) ? [...tries, drained(digest, fullPath)] : tries
  await record(archiver, { claim, events }, source)
  requireArchived(tries, route, digest.walName)
}

/**
 * Whether a file alone is the reason that it stays, so that others can be drained all the same.
 * Anything else, such as no path that answers, would be met by all.
 */
export function concernsOneFile(error: unknown): error is PgarchError {
  return error instanceof PgarchError && ['conflict', 'damaged'].includes(error.failure)
}

function drained({ walName, size: walSize }: Digest, fullPath: string): CopyEvent {
  return {
    eventId: randomUUID(),
    walName,
    walSize,
    pathId: null,
    status: 'drained',
    storedBytes: null,
    durationMilliseconds: 0,
    error: null,
    time: new Date(),
    fullPath,
  }
}
