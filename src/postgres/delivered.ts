import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeDurably } from '../fs/durable.ts'
import { fileError } from '../fs/errors.ts'
import { readIfThere } from '../fs/there.ts'

/*
 * Segments that were delivered from a shipped file, as far as it went, are not what the primary archives
 * under their names. With archive_mode = always the server that was given one wants it archived all
 * the same (KeepFileRestoredFromArchive, xlogarchive.c), so the state directory remembers what it was.
 */

/** Notes, durably, the content of a segment that is about to be placed. */
export async function noteDelivered(
  stateDirectory: string,
  segment: string,
  sha256: string,
): Promise<void> {
  const file = noteOf(stateDirectory, segment)
  const before = await read(file)
  if (before.includes(sha256)) return
  await mkdir(dirname(file), { recursive: true, mode: 0o700 }).catch((thrown) => {
    throw fileError('create directory', dirname(file), thrown)
  })
  await writeDurably(file, [...before, sha256].map((one) => `${one}\n`).join(''), { mode: 0o600 })
}

/** Whether it is the content that this host's server was given for an unfinished segment. */
export async function wasDelivered(
  stateDirectory: string,
  segment: string,
  sha256: string,
): Promise<boolean> {
  return (await read(noteOf(stateDirectory, segment))).includes(sha256)
}

function noteOf(stateDirectory: string, segment: string): string {
  return join(stateDirectory, 'delivered', segment)
}

async function read(file: string): Promise<string[]> {
  const text = (await readIfThere(file)) ?? ''
  return text.split('\n').filter((line) => line !== '')
}
