import { watch } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveFile } from '../archive/archive-file.ts'
import { type Archiver, identifyArchiver } from '../archive/identify.ts'
import { takeLock } from '../archive/worker-lock.ts'
import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { readLife } from '../postgres/life.ts'
import { closeInherited } from './descriptors.ts'
import { type Lifetime, watchLifetime } from './lifetime.ts'
import { type Markers, openMarkers } from './markers.ts'
import { type ReadyQueue, readyQueue } from './queue.ts'
import { isReady, statusDirectoryOf } from './ready-files.ts'
import { type SharedMeans, sharedMeans } from './shared-means.ts'

/** How often the worker looks around when nothing wakes it, in milliseconds. */
const lookAround = 1000

export interface WorkerRequest {
  readonly dataDirectory: string
  /** The file that the push which started the worker is archiving itself. */
  readonly except: string | undefined
}

interface Work {
  readonly archiver: Archiver & { readonly means: SharedMeans }
  readonly markers: Markers
  readonly queue: ReadyQueue
  readonly lifetime: Lifetime
}

/**
 * Archives what PostgreSQL has ready, many files at once over kept connections, ahead of its asking,
 * and leaves a marker for each. Resolves when it has been idle for long, when there is another worker,
 * or when its time is over: the server's life has ended, pgarch or its configuration has changed, or
 * the cluster is stopped. It can be killed at any time.
 */
export async function runWorker(request: WorkerRequest, config: Config): Promise<void> {
  closeInherited()
  const own = await identifyArchiver(request.dataDirectory, config)
  const { dataDirectory, stateDirectory, member } = own
  const lock = await takeLock(stateDirectory)
  if (lock === undefined) return
  const lifetime = await watchLifetime(dataDirectory.path, config)
  const means = sharedMeans(stateDirectory, member, config, () => lifetime?.end())
  try {
    if (lifetime === undefined || (await isAdopted(dataDirectory.path))) return
    const markers = await openMarkers(stateDirectory, lifetime.life)
    const queue = readyQueue(dataDirectory.path, markers, request.except)
    await writeFile(join(stateDirectory, 'worker.pid'), `${process.pid}\n`, { mode: 0o600 })
    await work({ archiver: { ...own, means }, markers, queue, lifetime }, config)
  } finally {
    await means.close()
    lock.close()
  }
}

/**
 * Whether the server has adopted our shell, as a subreaper does. The shell's end, with 0, is nothing to
 * it; but who kills the shell would crash the server.
 */
async function isAdopted(dataDirectory: string): Promise<boolean> {
  const shell = await readFile(`/proc/${process.ppid}/stat`, 'utf8')
  const [, parent] = shell.slice(shell.lastIndexOf(')') + 2).split(' ')
  const life = await readLife(dataDirectory)
  return Number(parent) === life?.postmasterPid
}

/** Keeps lanes busy until there is nothing to do for long, or the lifetime is over. */
async function work(on: Work, config: Config): Promise<void> {
  const { queue, lifetime, archiver } = on
  const lanes = new Set<Promise<void>>()
  // While some files are sent, as many more are read and compressed.
  const most = 2 * config.pushParallel
  const bell = wakeUps(archiver.dataDirectory.path, on)
  let lastWork = performance.now()
  try {
    while (!lifetime.isOver()) {
      while (lanes.size < most) {
        const walName = await queue.next()
        if (walName === undefined) break
        lastWork = performance.now()
        const lane = archiveOne(walName, on).finally(() => lanes.delete(lane))
        lanes.add(lane)
      }
      if (lanes.size === 0 && performance.now() - lastWork > config.workerIdle) return
      await Promise.race([...lanes, bell.rings()])
      bell.answer()
      await lifetime.look()
    }
    await Promise.all(lanes)
  } finally {
    bell.close()
  }
}

async function archiveOne(walName: string, { archiver, markers, queue, lifetime }: Work) {
  const isStillReady = () => isReady(archiver.dataDirectory.path, walName)
  try {
    await archiveFile(archiver, { walPath: join('pg_wal', walName), walName, isStillReady })
    if (await isStillReady()) await markers.pushed(walName)
    queue.done(walName, 'pushed')
  } catch (error) {
    queue.done(walName, 'failed')
    // A push that asked for itself was faster, and the file is gone.
    if (!(await isStillReady())) return
    log.error(error)
    // Of a stopped cluster, whose WAL is dropped by pushes that ask for themselves.
    if (lifetime.isOver()) return
    const told = error instanceof PgarchError ? error : asFailure(error)
    await markers.failed(walName, told)
  } finally {
    await archiver.rests.save()
  }
}

function asFailure(error: unknown): PgarchError {
  return new PgarchError('unusable', `bug in pgarch: ${describeError(error)}`)
}

/** Rings when a file has become ready, and every now and then. */
function wakeUps(dataDirectory: string, { queue, markers }: Pick<Work, 'queue' | 'markers'>) {
  let ring = Promise.withResolvers<void>()
  const timer = setInterval(() => ring.resolve(), lookAround)
  const watcher = watch(statusDirectoryOf(dataDirectory), (_event, file) => {
    if (!file?.endsWith('.ready')) return
    const walName = file.slice(0, -'.ready'.length)
    // PostgreSQL took an archived one away: of ten thousand, each would cost another listing.
    if (markers.has(walName)) return
    queue.hurry(walName)
    ring.resolve()
  })
  watcher.on('error', () => {}) // the directory is gone, which the lifetime notices
  return {
    /** Resolved, too, when it rang before anybody asked. */
    rings: () => ring.promise,
    /** Before looking what there is: what comes later rings again. */
    answer(): void {
      ring = Promise.withResolvers()
    },
    close(): void {
      clearInterval(timer)
      watcher.close()
    },
  }
}
