import { open, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeIfThere } from '../fs/durable.ts'
import { fileError } from '../fs/errors.ts'
import { makeFolder, namesIn } from '../fs/folder.ts'
import { makeLifeFolder } from '../postgres/life-folder.ts'
import { askedFile, prefetchFolder } from '../postgres/prefetched.ts'
import { parseWalName } from '../wal/names.ts'
import { ring } from './markers.ts'

/**
 * Prefetched segments, `prefetch/<life>/<file>` in the state directory, until the launcher moves them
 * to %p. A name appears there with all of its bytes verified and fsynced. `<file>.coming`, empty, says
 * that it is on its way, and that whoever waits at `<file>.bell`, a FIFO, will be woken. Methods reject
 * with `unusable` when it cannot be read or written.
 */
export interface Spool {
  readonly folder: string
  /** Where to fetch it to, before `publish`. */
  incoming(walName: string): string
  begin(walName: string): Promise<void>
  /** What lies at its `incoming` is for the launcher now. */
  publish(walName: string): Promise<void>
  /** Ends a `begin` that came to nothing, too. */
  end(walName: string): Promise<void>
  /** Looks what lies there; resolves to what the launcher took since the last look, in no order. */
  look(): Promise<string[]>
  /** Whether it lay there at the last look, or was published since. */
  has(walName: string): boolean
  /** Removes what is of other segments. */
  keepOnly(wanted: ReadonlySet<string>): Promise<void>
  /** The last segment that a fetch had to get by itself; undefined: none yet. */
  asked(): Promise<string | undefined>
  /** Bytes that may still be written to its file system. */
  freeBytes(): Promise<number>
  /** With all that lies in it. */
  remove(): Promise<void>
}

export async function openSpool(stateDirectory: string, life: string): Promise<Spool> {
  const folder = await makeLifeFolder(prefetchFolder(stateDirectory, life))
  const file = (walName: string) => join(folder, walName)
  const coming = (walName: string) => file(`${walName}.coming`)
  const bell = (walName: string) => file(`${walName}.bell`)
  // In a folder of their own, so that who watches this one is not woken by every block.
  const incomingFolder = file('incoming')
  const incoming = (walName: string) => join(incomingFolder, walName)
  let lying: ReadonlySet<string> = new Set()

  // Of one that was killed: what has a final name is whole, the rest is not.
  for (const name of await namesIn(folder)) {
    if (isSegment(name) || name === askedFile) continue
    await rm(file(name), { recursive: true, force: true }).catch((thrown) => {
      throw fileError('remove', file(name), thrown)
    })
  }
  await makeFolder(incomingFolder)

  return {
    folder,
    incoming,
    async begin(walName) {
      await writeFile(coming(walName), '', { mode: 0o600 }).catch((thrown) => {
        throw fileError('write file', coming(walName), thrown)
      })
    },
    async publish(walName) {
      try {
        await sync(incoming(walName))
        await rename(incoming(walName), file(walName))
      } catch (thrown) {
        throw fileError('write file', file(walName), thrown)
      }
      // The launcher may take it before anybody looks.
      lying = new Set([...lying, walName])
    },
    async end(walName) {
      await removeIfThere(coming(walName))
      await ring(bell(walName))
    },
    async look() {
      const before = lying
      const there = (await namesIn(folder)).filter(isSegment)
      const published = [...lying].filter((name) => !before.has(name))
      lying = new Set([...there, ...published])
      return [...before].filter((name) => !there.includes(name))
    },
    has: (walName) => lying.has(walName),
    async keepOnly(wanted) {
      for (const name of await namesIn(folder)) {
        const [walName = ''] = name.split('.')
        if (!isSegment(walName) || wanted.has(walName)) continue
        await removeIfThere(file(name))
        lying = new Set([...lying].filter((one) => one !== name))
      }
    },
    asked: () => readFile(file(askedFile), 'utf8').catch(() => undefined),
    async freeBytes() {
      const { bavail, bsize } = await statfs(folder).catch((thrown) => {
        throw fileError('look at', folder, thrown)
      })
      return bavail * bsize
    },
    async remove() {
      // Again when a fetch notes there meanwhile what it was asked for.
      await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch((thrown) => {
        throw fileError('remove directory', folder, thrown)
      })
    },
  }
}

/** Whether a change of this file in the spool's folder says where recovery is. */
export function isTidings(file: string): boolean {
  return isSegment(file) || file === askedFile
}

function isSegment(name: string): boolean {
  return parseWalName(name)?.kind === 'segment'
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
