import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveFile } from '../archive/archive-file.ts'
import { drainSome } from '../archive/drain.ts'
import { concernsOneFile } from '../archive/drain-file.ts'
import { type Archiver, rememberFailures, withArchiver } from '../archive/identify.ts'
import type { Config } from '../config.ts'
import { removeIfThere } from '../fs/durable.ts'
import { takeLock } from '../fs/worker-lock.ts'
import { collectTroubles, log } from '../log.ts'
import { isReady, readyName, statusDirectoryOf } from '../postgres/ready-files.ts'
import { hashOnThread } from '../stores/hash-thread.ts'
import { watchDirectory } from './bell.ts'
import { closeInherited } from './descriptors.ts'
import { type Lifetime, watchLifetime } from './lifetime.ts'
import { keepLogSmall } from './log-size.ts'
import { type Markers, openMarkers } from './markers.ts'
import { type ReadyQueue, readyQueue } from './queue.ts'

export interface WorkerRequest {
  readonly dataDirectory: string
  /** The file that the push which started the worker is archiving itself. */
  readonly except: string | undefined
}

interface Work {
  readonly archiver: Archiver
  readonly markers: Markers
  readonly queue: ReadyQueue
  readonly lifetime: Lifetime
}

/**
 * Archives what PostgreSQL has ready, many files at once over kept connections, ahead of its asking,
 * and leaves a marker for each. Resolves when it has been idle for long, when there is another worker,
 * or when its time is over: the server's life has ended, pgarch or its configuration has changed, or
 * the cluster is stopped. It can be killed at any time. What is still on its way in the end may hang,
 * and is waited for when the next worker can have begun.
 */
export async function runWorker(request: WorkerRequest, config: Config): Promise<void> {
  closeInherited()
  await withArchiver(request.dataDirectory, config, async (archiver) => {
    const { dataDirectory, stateDirectory, means } = archiver
    const lock = await takeLock(stateDirectory, 'push')
    if (lock === undefined) return
    const pidFile = join(stateDirectory, 'worker.pid')
    try {
      const lifetime = await watchLifetime(archiver)
      if (lifetime === undefined) return
      const markers = await openMarkers(stateDirectory, lifetime.life)
      const queue = readyQueue(dataDirectory.path, markers, request.except)
      await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 })
      // To drop WAL is for a push by itself, which asks in that very call.
      const dropWal = async () => {
        lifetime.end()
        return false
      }
      await work({
        archiver: {
          ...archiver,
          means: { ...means, dropWal },
          reading: { ...archiver.reading, hashing: hashOnThread() },
        },
        markers,
        queue,
        lifetime,
      })
    } finally {
      await removeIfThere(pidFile)
      lock.close()
    }
  })
}

/** Keeps lanes busy until there is nothing to do for long, or the lifetime is over. */
async function work(on: Work): Promise<void> {
  const { queue, markers, lifetime, archiver } = on
  const { dataDirectory, config } = archiver
  const lanes = new Set<Promise<void>>()
  // While some files are sent, as many more are read and compressed.
  const most = 2 * config.pushParallel
  const bell = watchDirectory(statusDirectoryOf(dataDirectory.path), (file) => {
    const walName = readyName(file)
    // PostgreSQL took an archived one away: of ten thousand, each would cost another listing.
    if (walName === undefined || markers.has(walName)) return false
    queue.hurry(walName)
    return true
  })
  let lastWork = performance.now()
  let failure: { error: unknown } | undefined
  try {
    while (!lifetime.isOver()) {
      while (lanes.size < most) {
        const walName = await queue.next()
        if (walName === undefined) break
        lastWork = performance.now()
        const lane = archiveOne(walName, on)
          .catch((error: unknown) => {
            failure ??= { error }
            lifetime.end()
          })
          .finally(() => lanes.delete(lane))
        lanes.add(lane)
      }
      if (lanes.size === 0 && performance.now() - lastWork > config.workerIdle) return
      await Promise.race([...lanes, bell.rings()])
      bell.answer()
      await lifetime.look()
      keepLogSmall()
    }
  } finally {
    bell.close()
  }
  if (failure !== undefined) throw failure.error
}

/** Rejects only when it cannot tell the launcher. */
async function archiveOne(walName: string, on: Work): Promise<void> {
  const { archiver, markers, queue, lifetime } = on
  const isStillReady = () => isReady(archiver.dataDirectory.path, walName)
  const file = { walPath: join('pg_wal', walName), walName, isStillReady }
  const troubles: string[] = []
  const archived = await collectTroubles(troubles, async () => {
    try {
      return await archiveFile(archiver, file)
    } catch (error) {
      // Else a push that asked for itself was faster, and the file is gone.
      if (await isStillReady()) log.error(error)
      return concernsOneFile(error) ? 'stuck' : 'failed'
    }
  })
  // Of a stopped cluster, whose WAL is dropped by pushes that ask for themselves, nothing is told.
  const wanted = archived !== 'gone' && !lifetime.isOver() && (await isStillReady())
  const failed = archived === 'stuck' || archived === 'failed'
  if (wanted && failed) {
    await markers.failed(walName, troubles, archived === 'stuck' ? 'by itself' : 'in an outage')
  } else if (wanted) {
    await markers.pushed(walName, troubles)
  }
  queue.done(walName, failed && (await isStillReady()) ? archived : 'pushed')
  if (archived === 'on a path') await drainSome(archiver)
  await rememberFailures(archiver)
}
