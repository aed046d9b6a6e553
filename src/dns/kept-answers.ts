import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describeError } from '../errors.ts'
import { removeUnfinished, writeDurably } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { log } from '../log.ts'
import type { NameSettings } from './ask.ts'

/** Of the files' format. */
const version = 1

/**
 * What `keepAnswer` kept for a name. Undefined when there is nothing, or it cannot be read or
 * understood: that only counts while nobody can be asked.
 */
export async function keptAnswer<Answer>(
  name: string,
  { directory }: NameSettings,
): Promise<Answer | undefined> {
  if (directory === undefined) return undefined
  try {
    const stored = JSON.parse(await readFile(fileOf(directory, name), 'utf8'))
    return stored.version === version && stored.name === name ? stored.answer : undefined
  } catch {
    return undefined
  }
}

/** Keeps an answer that led somewhere, for when nobody can be asked. Never rejects. */
export async function keepAnswer(
  name: string,
  answer: unknown,
  settings: NameSettings,
): Promise<void> {
  const { directory } = settings
  if (directory === undefined || isDeepStrictEqual(await keptAnswer(name, settings), answer)) return
  try {
    await makeDirectory(directory)
    await removeUnfinished(directory)
    const text = JSON.stringify({ version, name, answer }, undefined, 2)
    await writeDurably(fileOf(directory, name), `${text}\n`, { mode: 0o600 })
  } catch (error) {
    log.warning(`could not keep where "${name}" leads: ${describeError(error)}`)
  }
}

/** Not its parent, the state directory, which only its owner may make. */
async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((thrown: unknown) => {
    if (!hasCode(thrown, 'EEXIST')) throw fileError('create directory', directory, thrown)
  })
}

function fileOf(directory: string, name: string): string {
  return join(directory, `${encodeURIComponent(name)}.json`)
}
