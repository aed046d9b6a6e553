import { randomUUID } from 'node:crypto'
import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { withPath } from '../resources.ts'
import type { CopyEvent, Route, SchedulePath } from '../schedule/types.ts'
import { storedName } from '../stores/stored-file.ts'
import type { WalFile } from './wal-file.ts'

/** Every path that was tried, in order; the file is archived when the last one says so. */
export type Tries = readonly CopyEvent[]

/**
 * The stage *store.put*: the route's paths in their order, until one has the file durably. A conflict
 * ends it too: the archive holds another server's bytes, and a second path would only hide that.
 */
export async function copyToRoute(route: Route, file: WalFile, config: Config): Promise<Tries> {
  const tries: CopyEvent[] = []
  for (const path of route.paths) {
    const event = await tryPath(path, route.fingerprint, file, config)
    tries.push(event)
    if (event.status !== 'failed') break
  }
  return tries
}

async function tryPath(
  path: SchedulePath,
  fingerprint: string,
  { digest, content }: WalFile,
  config: Config,
): Promise<CopyEvent> {
  const start = performance.now()
  const event = (result: Pick<CopyEvent, 'status' | 'storedBytes' | 'error'>): CopyEvent => ({
    eventId: randomUUID(),
    walName: digest.walName,
    walSize: digest.size,
    pathId: path.id,
    durationMilliseconds: Math.round(performance.now() - start),
    time: new Date(),
    ...result,
  })
  try {
    const { outcome, storedBytes } = await withPath(path, config, (store) =>
      store.put(storedName(fingerprint, digest.walName), content, digest),
    )
    return event({ status: outcome, storedBytes, error: null })
  } catch (error) {
    if (!(error instanceof PgarchError)) throw error
    const status = error.failure === 'conflict' ? 'conflict' : 'failed'
    return event({ status, storedBytes: null, error: describeError(error) })
  }
}
