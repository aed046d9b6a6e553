import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describeError, PgarchError } from '../errors.ts'
import { removeUnfinished, writeDurably } from '../fs/durable.ts'
import { fileError } from '../fs/errors.ts'
import { log } from '../log.ts'
import { parseWalName } from '../wal/names.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import { place, temporaryName } from './place.ts'
import { membershipOf, type Target } from './target.ts'
import type { Whereabouts } from './whereabouts.ts'

/*
 * PostgreSQL takes a timeline history file that it is not given for a timeline id that is free, and a
 * promoted standby would use it a second time. So these small files have two more sources than the
 * paths: the scheduling database, and what this host was given before.
 */

/** Places the scheduling database's copy; false when it has none. */
export async function placeRecordedHistory(
  location: Whereabouts,
  walName: string,
  walPath: string,
) {
  const { file } = location
  if (file === null || file.history === null) return false
  const sha256 = createHash('sha256').update(file.history).digest('hex')
  if (sha256 !== file.sha256) {
    throw new PgarchError('damaged', `the scheduling database's copy of "${walName}" is damaged`)
  }
  await placeContent(file.history, walName, walPath)
  return true
}

/** Keeps the timeline history placed at %p for a time when nothing answers; on registered hosts. */
export async function rememberHistory(target: Target, walName: string) {
  const remembered = rememberedFile(target, walName)
  if (remembered === undefined) return
  try {
    const content = await readFile(target.walPath)
    // Other content was set aside since, after a conflict.
    const before = await readFile(remembered).catch(() => undefined)
    if (before?.equals(content)) return
    await mkdir(dirname(remembered), { recursive: true, mode: 0o700 })
    await removeUnfinished(dirname(remembered))
    await writeDurably(remembered, content, { mode: 0o600 })
  } catch (error) {
    // The file is placed, and that counts: a full state directory must not stop a recovery.
    log.warning(`could not remember timeline history "${walName}": ${describeError(error)}`)
  }
}

/**
 * Places the timeline history that this host was given before, or that the server keeps in pg_wal,
 * where it looks itself after a miss (RestoreArchivedFile, xlogarchive.c); false without either.
 */
export async function placeRememberedHistory(target: Target, walName: string) {
  const { walPath, role } = target
  const inServer = role === 'pg_rewind' ? undefined : join(dirname(walPath), walName)
  const files = [rememberedFile(target, walName), inServer].filter((file) => file !== undefined)
  const known = files.find((file) => existsSync(file))
  if (known === undefined) return false
  const content = await readFile(known).catch((thrown) => {
    throw fileError('read', known, thrown)
  })
  await placeContent(content, walName, walPath)
  return true
}

/** Each cluster's apart: a data directory may become another one's, and its histories are others. */
function rememberedFile(target: Target, walName: string): string | undefined {
  const member = membershipOf(target)
  if (member === undefined || target.stateDirectory === undefined) return undefined
  return join(target.stateDirectory, 'history', member.fingerprint, walName)
}

async function placeContent(content: Buffer, walName: string, walPath: string) {
  const name = parseWalName(walName)
  if (name?.kind === 'history') parseTimelineHistory(content.toString('utf8'), name.timeline)
  const temporary = temporaryName(walPath)
  await writeFile(temporary, content, { flag: 'wx' }).catch((thrown) => {
    throw fileError('write', temporary, thrown)
  })
  await place(temporary, walPath)
}
