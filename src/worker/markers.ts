import { constants } from 'node:fs'
import { open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { markersOf } from '../archive/marker.ts'
import { removeIfThere } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import { makeFolder, namesIn } from '../fs/folder.ts'
import { makeLifeFolder } from '../postgres/life-folder.ts'

/**
 * What the worker tells the launcher, in the state directory, below a directory named by the server's
 * life, so that nothing of it outlives that life: `pushed/<life>/<file>`, the marker, says that the file
 * is archived, `failed/<life>/<file>` that it is not. In either lie the lines that push is to write into
 * the server's log, of which a marker mostly has none. Whoever waits at `bell/<file>`, a FIFO, is woken.
 * None of it needs to be durable: a crash of the machine ends the life too. bin/pgarch reads it. Every
 * method rejects with `unusable` when it cannot be written.
 */
export interface Markers {
  has(walName: string): boolean
  /** Takes back as well the reasons that others were not archived for, unless they are their own. */
  pushed(walName: string, lines: readonly string[]): Promise<void>
  failed(
    walName: string,
    lines: readonly string[],
    why: 'by itself' | 'in an outage',
  ): Promise<void>
  /**
   * Removes the markers of files that PostgreSQL no longer asks for, and resolves to those for which
   * it does. They are listed after the markers: a file that becomes ready meanwhile keeps its own.
   */
  keepOnly(list: () => Promise<string[]>): Promise<string[]>
}

export async function openMarkers(stateDirectory: string, life: string): Promise<Markers> {
  const pushedFolder = await makeLifeFolder(markersOf(stateDirectory, life))
  const failedFolder = await makeLifeFolder(join(stateDirectory, 'failed', life))
  const bellFolder = await makeFolder(join(stateDirectory, 'bell'))
  const known = new Set(await namesIn(pushedFolder))
  /** Files that failed, and by all that is known not because of themselves. */
  const inOutage = new Set<string>()
  // What another worker met may have passed.
  for (const walName of await namesIn(failedFolder))
    await removeIfThere(join(failedFolder, walName))

  return {
    has: (walName) => known.has(walName),
    async pushed(walName, lines) {
      await write(pushedFolder, walName, lines)
      known.add(walName)
      await ring(join(bellFolder, walName))
      for (const name of [walName, ...inOutage]) await removeIfThere(join(failedFolder, name))
      inOutage.clear()
    },
    async failed(walName, lines, why) {
      await write(failedFolder, walName, lines)
      if (why === 'in an outage') inOutage.add(walName)
      await ring(join(bellFolder, walName))
    },
    async keepOnly(list) {
      const archived = [...known]
      const others = await Promise.all(
        [failedFolder, bellFolder].map(async (folder) =>
          (await namesIn(folder)).map((walName) => ({ folder, walName })),
        ),
      )
      const ready = await list()
      const wanted = new Set(ready)
      for (const walName of archived.filter((name) => !wanted.has(name))) {
        await removeIfThere(join(pushedFolder, walName))
        known.delete(walName)
      }
      for (const { folder, walName } of others.flat()) {
        if (!wanted.has(walName)) await removeIfThere(join(folder, walName))
      }
      return ready
    },
  }
}

/** All at once: the launcher never meets half of the lines. */
async function write(folder: string, walName: string, lines: readonly string[]): Promise<void> {
  const file = join(folder, walName)
  const written = lines.length === 0 ? file : join(folder, `.${walName}`)
  try {
    await writeFile(written, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 })
    if (written !== file) await rename(written, file)
  } catch (thrown) {
    throw fileError('write file', file, thrown)
  }
}

/** Opening a FIFO for writing without waiting fails where nobody reads: then nobody is waiting. */
export async function ring(bell: string): Promise<void> {
  try {
    const fifo = await open(bell, constants.O_WRONLY | constants.O_NONBLOCK)
    try {
      await fifo.write('\n')
    } finally {
      await fifo.close()
    }
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT', 'ENXIO', 'EPIPE', 'EAGAIN')) {
      throw fileError('write to', bell, thrown)
    }
  }
}
