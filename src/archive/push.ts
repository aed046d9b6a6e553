import type { Config } from '../config.ts'
import { describeError, PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { writePushFailure } from '../postgres/push-failure.ts'
import { archiveFile, type ReadyFile } from './archive-file.ts'
import { drainSome } from './drain.ts'
import { type Archiver, withArchiver } from './identify.ts'
import { readMarker } from './marker.ts'
import { startWorker } from './worker-start.ts'

export interface PushRequest extends ReadyFile {
  /** PostgreSQL's working directory. */
  readonly dataDirectory: string
}

/**
 * Archives one WAL file, see archiveFile, by itself, unless the worker has done so; and has a worker
 * started for the next ones.
 */
export async function push(request: PushRequest, config: Config): Promise<void> {
  await withArchiver(request.dataDirectory, config, async (archiver) => {
    const marker = await readMarker(archiver, request)
    if (marker !== undefined) {
      process.stderr.write(marker)
      return
    }
    await startWorker(archiver, request.walName)
    const archived = await archiveFile(archiver, request).catch(async (error: unknown) => {
      await noteFailure(archiver, request, error)
      throw error
    })
    if (archived === 'on a path') await drainSome(archiver)
  })
}

/** For "pgarch check". Never rejects: the server's log has it too. */
async function noteFailure(
  { stateDirectory }: Archiver,
  { walName }: ReadyFile,
  error: unknown,
): Promise<void> {
  const hint = error instanceof PgarchError ? (error.hint ?? null) : null
  const failure = { walName, time: new Date(), reason: describeError(error), hint }
  await writePushFailure(stateDirectory, failure).catch((thrown: unknown) => {
    log.warning(`could not note the failure: ${describeError(thrown)}`)
  })
}
