import type { Config } from '../config.ts'
import { archiveFile, type ReadyFile } from './archive-file.ts'
import { drainSome } from './drain.ts'
import { withArchiver } from './identify.ts'
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
    if ((await archiveFile(archiver, request)) === 'on a path') await drainSome(archiver)
  })
}
