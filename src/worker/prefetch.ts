import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, keepingNames } from '../config.ts'
import { keepConnections } from '../connections.ts'
import { PgarchError } from '../errors.ts'
import { removeIfThere } from '../fs/durable.ts'
import { takeLock } from '../fs/worker-lock.ts'
import { openDataDirectory } from '../postgres/data-directory.ts'
import { makeLifeFolder } from '../postgres/life-folder.ts'
import { noteAsked, prefetchFolder } from '../postgres/prefetched.ts'
import { isInRecovery } from '../postgres/recovery-role.ts'
import { createStateDirectory } from '../postgres/state-directory.ts'
import { type Histories, segmentsAhead, stretchesAhead } from '../restore/read-ahead.ts'
import { keptSources } from '../restore/sources.ts'
import { identifyTarget, longestRest } from '../restore/target.ts'
import { openRests } from '../schedule/rests.ts'
import { hashOnThread } from '../stores/hash-thread.ts'
import { isWalSegmentSize, parseWalName, type SegmentName } from '../wal/names.ts'
import { parseTimelineHistory } from '../wal/timeline-history.ts'
import { watchDirectory } from './bell.ts'
import { closeInherited } from './descriptors.ts'
import { watchLifetime } from './lifetime.ts'
import { keepLogSmall } from './log-size.ts'
import { followRecovery } from './position.ts'
import { mostAhead } from './prefetch-bounds.ts'
import { type Lane, prefetchSegment } from './prefetch-lane.ts'
import { isTidings, openSpool } from './spool.ts'
import { newTries } from './tries.ts'

/** Segments that are downloaded at once. */
const lanesAtOnce = 4

export interface PrefetchRequest {
  readonly dataDirectory: string
  /** The segment that the server has just been given. */
  readonly asked: string
  /** Bytes. */
  readonly walSegmentSize: number
}

/**
 * Fetches what a server in recovery will ask for next, and lays it where the launcher finds it. Resolves
 * when nothing was asked for long, when there is another one, or when the server's life or its
 * recovery is over; then nothing is left lying there, and what is still on its way shall end with the
 * process. It can be killed at any time. It never tells a server that something is absent.
 */
export async function runPrefetch(request: PrefetchRequest, given: Config): Promise<void> {
  closeInherited()
  const { walSegmentSize } = request
  const asked = parseWalName(request.asked)
  if (asked?.kind !== 'segment' || !isWalSegmentSize(walSegmentSize)) {
    const what = `"${request.asked}" of ${walSegmentSize} bytes`
    throw new PgarchError('usage', `${what} is not a segment to fetch ahead of`)
  }
  const dataDirectory = await openDataDirectory(request.dataDirectory)
  const stateDirectory = await createStateDirectory(given.stateDirectory, dataDirectory)
  const config = keepingNames(given, stateDirectory)
  const lifetime = await watchLifetime({ dataDirectory, stateDirectory, config }, () =>
    isInRecovery(dataDirectory.path),
  )
  if (lifetime === undefined) return
  // Before the lock: who finds that taken finds a place to say what it was asked for.
  await makeLifeFolder(prefetchFolder(stateDirectory, lifetime.life))
  const lock = await takeLock(stateDirectory, 'prefetch')
  // The server asked again before the other one was there to be told.
  if (lock === undefined) return await noteAsked(stateDirectory, lifetime.life, request.asked)
  const pidFile = join(stateDirectory, 'prefetch.pid')
  const connections = keepConnections(config, lanesAtOnce, { hashing: hashOnThread() })
  try {
    const target = await identifyTarget(
      {
        workingDirectory: dataDirectory.path,
        walName: request.asked,
        walPath: 'pg_wal/RECOVERYXLOG',
        clusterName: null,
        without: [],
        isPlain: true,
        includeShipped: false,
        waiting: undefined,
        cleanup: { restart: undefined, keep: 0 },
      },
      config,
    )
    // Nobody waits for an answer, and patience is this loop's own. But what does not answer is not
    // waited for with every segment: fetch, to a standby, would be the faster one.
    const sources = keptSources(connections)
    const rests = await openRests(stateDirectory, { longest: longestRest })
    const patient = { ...target, sources, role: 'archive-recovery', rests } as const
    const walDirectory = join(dataDirectory.path, 'pg_wal')
    const spool = await openSpool(stateDirectory, lifetime.life)
    try {
      await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 })
      const lane = { config, target: patient, spool, lifetime, told: new Set<string>() }
      await readAhead({ ...lane, walDirectory, walSegmentSize }, asked)
    } finally {
      lifetime.end()
      await spool.remove()
    }
  } finally {
    await removeIfThere(pidFile)
    lock.close()
    // A transfer that hangs must not hold up the process.
    await Promise.race([connections.close(), sleep(1000)])
  }
}

interface ReadAhead extends Lane {
  readonly walDirectory: string
  /** Bytes. */
  readonly walSegmentSize: number
}

/** Keeps lanes busy with what comes next, until recovery is over or has not moved on for long. */
async function readAhead(on: ReadAhead, first: SegmentName): Promise<void> {
  const { config, spool, lifetime, walSegmentSize } = on
  const most = mostAhead(config.fetchPrefetch, walSegmentSize)
  const bell = watchDirectory(spool.folder, isTidings)
  const position = followRecovery(spool, first)
  const tries = newTries()
  const lanes = new Map<string, Promise<void>>()
  let moved = performance.now()
  try {
    while (!lifetime.isOver()) {
      bell.answer()
      if (await position.look()) {
        moved = performance.now()
        tries.forget()
      }
      const histories = await readHistories(on.walDirectory)
      const stretches = stretchesAhead(position.asked(), histories, walSegmentSize)
      const ahead = segmentsAhead(position.asked(), stretches, most, walSegmentSize)
      await spool.keepOnly(new Set(ahead.flat()))
      for (const names of ahead) {
        const [name = ''] = names
        if (names.some(spool.has) || lanes.has(name)) continue
        if (lanes.size === lanesAtOnce || tries.isEnd(name) || !(await hasRoom(on, lanes.size)))
          break
        const lane = prefetchSegment(names, on).then((outcome) => {
          tries.note(name, outcome)
          lanes.delete(name)
        })
        lanes.set(name, lane)
      }
      if (lanes.size === 0 && performance.now() - moved > config.workerIdle) return
      await Promise.race([...lanes.values(), bell.rings()])
      await lifetime.look()
      keepLogSmall()
    }
  } finally {
    bell.close()
  }
}

/** Whether so many segments, and one more, leave the reserve of free space alone. */
async function hasRoom({ spool, walSegmentSize, config }: ReadAhead, coming: number) {
  const needed = (coming + 1) * walSegmentSize + config.prefetchReserve
  return (await spool.freeBytes()) >= needed
}

/** Of the timelines that the server was given; one that it is writing now is read again soon. */
async function readHistories(walDirectory: string): Promise<Histories> {
  const histories = new Map<number, ReturnType<typeof parseTimelineHistory>>()
  for (const file of await readdir(walDirectory)) {
    const name = parseWalName(file)
    if (name?.kind !== 'history') continue
    try {
      const text = await readFile(join(walDirectory, file), 'utf8')
      histories.set(name.timeline, parseTimelineHistory(text, name.timeline))
    } catch {
      // Without it prefetching goes along one timeline.
    }
  }
  return histories
}
