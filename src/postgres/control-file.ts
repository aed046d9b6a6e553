import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError } from '../fs/errors.ts'

/** DBState of pg_control.h, in its order and pg_controldata's words; the same since PostgreSQL 9.0. */
const states = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const

export interface ControlFile {
  /**
   * A base backup's is the primary's, `in production`, until recovery has been given the first segment
   * that it needs.
   */
  readonly state: (typeof states)[number]
  /** Where recovery would start from: the redo pointer of the last checkpoint or restartpoint. */
  readonly redo: bigint
  /** Of that checkpoint. */
  readonly timeline: number
}

/**
 * What pg_control says now, be the server running or not. Only fields at the same place in every
 * version since PostgreSQL 11 (ControlFileData in pg_control.h, little endian): the state at 16, and at
 * 40 and 48 the redo pointer and the timeline of checkPointCopy. The server writes them in one sector.
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = join(dataDirectory, 'global/pg_control')
  const content = Buffer.alloc(52)
  try {
    const file = await open(path)
    try {
      await file.read(content, 0, content.length, 0)
    } finally {
      await file.close()
    }
  } catch (thrown) {
    throw fileError('read file', path, thrown)
  }
  const state = states[content.readUInt32LE(16)]
  if (state === undefined) throw new PgarchError('unusable', `"${path}" cannot be understood`)
  return { state, redo: content.readBigUInt64LE(40), timeline: content.readUInt32LE(48) }
}
