import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError } from '../fs/errors.ts'
import { readIfThere } from '../fs/there.ts'

/** Why the last push that failed did. */
export interface PushFailure {
  readonly walName: string
  readonly time: Date
  readonly reason: string
  readonly hint: string | null
}

/** Of the file's format. */
const version = 1

const fileName = 'push-failed.json'

/** For who monitors; need not outlive a crash. Rejects with `unusable`. */
export async function writePushFailure(
  stateDirectory: string,
  failure: PushFailure,
): Promise<void> {
  const file = join(stateDirectory, fileName)
  const temporary = `${file}.${process.pid}.tmp`
  try {
    await writeFile(temporary, `${JSON.stringify({ version, ...failure })}\n`, { mode: 0o600 })
    await rename(temporary, file)
  } catch (thrown) {
    throw fileError('write file', file, thrown)
  }
}

/** Undefined: none failed yet, or what is there cannot be understood. `unusable` when it cannot be read. */
export async function readPushFailure(stateDirectory: string): Promise<PushFailure | undefined> {
  const text = await readIfThere(join(stateDirectory, fileName))
  if (text === undefined) return undefined
  try {
    const { version: found, walName, time, reason, hint } = JSON.parse(text)
    return found === version ? { walName, time: new Date(time), reason, hint } : undefined
  } catch {
    return undefined
  }
}
