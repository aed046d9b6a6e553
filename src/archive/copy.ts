import { randomUUID } from 'node:crypto'
import { describeError, PgarchError } from '../errors.ts'
import type { CopyEvent, Route, SchedulePath } from '../schedule/types.ts'
import { storedName } from '../stores/stored-file.ts'
import type { Archiver } from './identify.ts'
import { keepManifest } from './manifest.ts'
import type { WalFile } from './wal-file.ts'

/** Every path that was tried, in order; the file is archived when the last one says so. */
export type Tries = readonly CopyEvent[]

/**
 * The stage *store.put*: the route's paths in their order, until one has the file durably. A conflict
 * ends it too: the archive holds another server's bytes, and a second path would only hide that.
 */
export async function copyToRoute(archiver: Archiver, route: Route, file: WalFile): Promise<Tries> {
  const tries: CopyEvent[] = []
  for (const path of pathsToTry(archiver, route)) {
    const event = await tryPath(archiver, path, route, file)
    tries.push(event)
    if (event.status !== 'failed') break
  }
  return tries
}

/** Without those that rest after a failure; but with nowhere else to go, all. */
function pathsToTry({ rests, config }: Archiver, { paths }: Route): readonly SchedulePath[] {
  const awake = paths.filter(({ id }) => !rests.isResting(String(id)))
  return awake.length === 0 && config.localArchive === undefined ? paths : awake
}

async function tryPath(
  archiver: Archiver,
  path: SchedulePath,
  route: Route,
  { digest, content }: WalFile,
): Promise<CopyEvent> {
  const { rests, means } = archiver
  const start = performance.now()
  const event = (result: Pick<CopyEvent, 'status' | 'storedBytes' | 'error'>): CopyEvent => ({
    eventId: randomUUID(),
    walName: digest.walName,
    walSize: digest.size,
    pathId: path.id,
    durationMilliseconds: Math.round(performance.now() - start),
    time: new Date(),
    fullPath: null,
    ...result,
  })
  try {
    const { outcome, storedBytes } = await means.withPath(path, async (store) => {
      const name = storedName(route.fingerprint, digest.walName)
      const published = await store.put(name, content, digest)
      await keepManifest(archiver, route, store)
      return published
    })
    rests.note(String(path.id), 'worked')
    return event({ status: outcome, storedBytes, error: null })
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    const { failure } = error
    if (failure === 'unreachable' || failure === 'unusable') rests.note(String(path.id), 'failed')
    const status = failure === 'conflict' ? 'conflict' : 'failed'
    return event({ status, storedBytes: null, error: describeError(error) })
  }
}
