import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { type DataDirectory, openDataDirectory } from '../postgres/data-directory.ts'
import { type Life, readLife } from '../postgres/life.ts'
import { makeLifeFolder } from '../postgres/life-folder.ts'
import { createStateDirectory, stateDirectoryOf } from '../postgres/state-directory.ts'

/**
 * What the calls that wait for one server tell one another, in the state directory below the name of the
 * server's life: `waiting/<life>/<note>`. Where it cannot be written, each call stands for itself.
 */
export interface WaitNotes {
  /** Undefined where there is no such note. */
  read(note: Note): Promise<string | undefined>
  /** Whether the next calls can read it. Never rejects: what cannot be written is warned of. */
  write(note: Note, content: string): Promise<boolean>
}

/**
 * `fast`: the segment at which recovery was last told to end; `recovery-prefetch`: that it was warned of.
 */
export type Note = 'fast' | 'recovery-prefetch'

/** The server that waits: its data directory, and its life. */
export interface WaitingServer {
  readonly dataDirectory: DataDirectory
  readonly life: Life
}

/** Undefined for a call by hand, outside of a data directory, or while no server runs there. */
export async function findWaitingServer(
  workingDirectory: string,
): Promise<WaitingServer | undefined> {
  try {
    const dataDirectory = await openDataDirectory(workingDirectory)
    const life = await readLife(dataDirectory.path)
    return life && { dataDirectory, life }
  } catch (error) {
    if (error instanceof PgarchError) return undefined
    throw error
  }
}

export function openWaitNotes(server: WaitingServer | undefined, config: Config): WaitNotes {
  if (server === undefined) return { read: async () => undefined, write: async () => false }
  const { dataDirectory, life } = server
  const folderIn = (stateDirectory: string) => join(stateDirectory, 'waiting', life.name)
  const folder = folderIn(stateDirectoryOf(config.stateDirectory, dataDirectory))
  return {
    read: (note) => readFile(join(folder, note), 'utf8').catch(() => undefined),
    async write(note, content) {
      try {
        await makeLifeFolder(
          folderIn(await createStateDirectory(config.stateDirectory, dataDirectory)),
        )
        await writeFile(join(folder, note), content, { mode: 0o600 })
        return true
      } catch (error) {
        log.warning(`could not tell the next calls of "${note}": ${describeError(error)}`)
        return false
      }
    },
  }
}
