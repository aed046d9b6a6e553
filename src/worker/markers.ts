import { constants } from 'node:fs'
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PgarchError } from '../errors.ts'
import { removeIfThere } from '../fs/durable.ts'
import { hasCode } from '../fs/errors.ts'

/**
 * What the worker tells the launcher, in the state directory, below a directory named by the server's
 * life, so that nothing of it outlives that life: `pushed/<life>/<file>`, an empty marker, says that
 * the file is archived; `failed/<life>/<file>` says why it is not; and whoever waits at
 * `bell/<file>`, a FIFO, is woken. None of it needs to be durable: a crash of the machine ends the
 * life too. bin/pgarch reads it.
 */
export interface Markers {
  has(walName: string): boolean
  pushed(walName: string): Promise<void>
  failed(walName: string, error: PgarchError): Promise<void>
  /**
   * Removes the markers of files that PostgreSQL no longer asks for, and resolves to those for which
   * it does. They are listed after the markers: a file that becomes ready meanwhile keeps its own.
   */
  keepOnly(listReady: () => Promise<string[]>): Promise<string[]>
}

export async function openMarkers(stateDirectory: string, life: string): Promise<Markers> {
  const [pushedFolder, failedFolder, bellFolder] = await Promise.all([
    makeLifeFolder(join(stateDirectory, 'pushed'), life),
    makeLifeFolder(join(stateDirectory, 'failed'), life),
    makeFolder(join(stateDirectory, 'bell')),
  ])
  const known = new Set(await readdir(pushedFolder))
  return {
    has: (walName) => known.has(walName),
    async pushed(walName) {
      await writeFile(join(pushedFolder, walName), '', { mode: 0o600 })
      known.add(walName)
      await removeIfThere(join(failedFolder, walName))
      await ring(join(bellFolder, walName))
    },
    async failed(walName, { message, hint }) {
      const lines = [`pgarch: ERROR:  ${message}`, ...(hint ? [`pgarch: HINT:  ${hint}`] : [])]
      await writeFile(join(failedFolder, walName), `${lines.join('\n')}\n`, { mode: 0o600 })
      await ring(join(bellFolder, walName))
    },
    async keepOnly(listReady) {
      const marked = [...known]
      const folders = [failedFolder, bellFolder].map(async (folder) =>
        (await readdir(folder)).map((walName) => [folder, walName] as const),
      )
      const others = (await Promise.all(folders)).flat()

      const ready = await listReady()
      const readyFiles = new Set(ready)
      for (const walName of marked) {
        if (readyFiles.has(walName)) continue
        await removeIfThere(join(pushedFolder, walName))
        known.delete(walName)
      }
      for (const [folder, walName] of others) {
        if (!readyFiles.has(walName)) await removeIfThere(join(folder, walName))
      }
      return ready
    },
  }
}

/** Without those of other lives, which nobody reads any more. */
async function makeLifeFolder(parent: string, life: string): Promise<string> {
  await makeFolder(parent)
  for (const name of await readdir(parent)) {
    if (name !== life) await rm(join(parent, name), { recursive: true, force: true })
  }
  return await makeFolder(join(parent, life))
}

async function makeFolder(path: string): Promise<string> {
  await mkdir(path, { mode: 0o700, recursive: true })
  return path
}

/** Opening a FIFO for writing without waiting fails where nobody reads: then nobody is waiting. */
async function ring(bell: string): Promise<void> {
  try {
    const fifo = await open(bell, constants.O_WRONLY | constants.O_NONBLOCK)
    try {
      await fifo.write('\n')
    } finally {
      await fifo.close()
    }
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT', 'ENXIO', 'EPIPE')) throw thrown
  }
}
