import { constants, open } from 'node:fs/promises'
import { PgarchError } from '../errors.ts'
import { writeDurably } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'

/** `smart`: apply everything that is archived, then end recovery; `fast`: end it now. */
export type FailoverKind = 'smart' | 'fast'

/** What a trigger file asks for, by its first bytes, as pg_standby read them. */
export function parseTrigger(content: string): FailoverKind | undefined {
  if (content === '' || content.startsWith('smart')) return 'smart'
  return content.startsWith('fast') ? 'fast' : undefined
}

/**
 * What a trigger file begins with, and when it was changed (ms). Opening a FIFO would otherwise wait for
 * somebody who writes to it, and recovery with it.
 */
export async function readStart(path: string): Promise<{ content: string; changed: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0)
    const { mtimeMs } = await file.stat()
    return { content: buffer.toString('latin1', 0, bytesRead), changed: mtimeMs }
  } finally {
    await file.close()
  }
}

/**
 * Makes the trigger file, durably, unless it asks for the same already. A smart one becomes a fast one;
 * `refused` for the other way round, as the server may have seen it, and for a file that says something
 * else and so is somebody else's.
 */
export async function writeTrigger(
  path: string,
  kind: FailoverKind,
): Promise<'created' | 'there already' | 'made fast'> {
  const start = await readStart(path).catch((thrown) => {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw fileError('read trigger file', path, thrown)
  })
  const present = start && parseTrigger(start.content)
  if (start !== undefined && present === undefined) {
    throw new PgarchError('refused', `"${path}" is there, and is no trigger file`, {
      hint: 'Look what it is. If nobody needs it, remove it, or set fetch.trigger_file to another name.',
    })
  }
  if (present === kind) return 'there already'
  if (present === 'fast') {
    throw new PgarchError('refused', `trigger file "${path}" asks for a fast failover already`, {
      hint: 'If the server has not acted on it, remove the file and try again.',
    })
  }
  await writeDurably(path, kind === 'fast' ? 'fast\n' : '', { mode: 0o600 })
  return present === undefined ? 'created' : 'made fast'
}
