import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeIfThere } from '../fs/durable.ts'
import { hasCode } from '../fs/errors.ts'

/**
 * What the worker tells the launcher, in the state directory, below a directory named by the server's
 * life, so that nothing of it outlives that life: `pushed/<life>/<file>`, the marker, says that the file
 * is archived, `failed/<life>/<file>` that it is not. In either lie the lines that push is to write into
 * the server's log, of which a marker mostly has none. Whoever waits at `bell/<file>`, a FIFO, is woken. None of it needs to be durable: a crash of the machine ends the
 * life too. bin/pgarch reads it.
 */
export interface Markers {
  has(walName: string): boolean
  pushed(walName: string, lines: readonly string[]): Promise<void>
  failed(walName: string, lines: readonly string[]): Promise<void>
  /** Removes the markers of files that PostgreSQL no longer asks for. */
  keepOnly(readyFiles: ReadonlySet<string>): Promise<void>
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
    async pushed(walName, lines) {
      await writeLines(pushedFolder, walName, lines)
      known.add(walName)
      await removeIfThere(join(failedFolder, walName))
      await ring(join(bellFolder, walName))
    },
    async failed(walName, lines) {
      await writeLines(failedFolder, walName, lines)
      await ring(join(bellFolder, walName))
    },
    async keepOnly(readyFiles) {
      for (const walName of known) {
        if (readyFiles.has(walName)) continue
        await removeIfThere(join(pushedFolder, walName))
        known.delete(walName)
      }
      for (const folder of [failedFolder, bellFolder]) {
        for (const walName of await readdir(folder)) {
          if (!readyFiles.has(walName)) await removeIfThere(join(folder, walName))
        }
      }
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

/** All at once: the launcher never meets half of them. */
async function writeLines(folder: string, name: string, lines: readonly string[]): Promise<void> {
  const file = join(folder, name)
  const written = lines.length === 0 ? file : join(folder, `.${name}`)
  await writeFile(written, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
  if (written !== file) await rename(written, file)
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
