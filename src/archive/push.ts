import type { Config } from '../config.ts'
import { archiveFile, type ReadyFile } from './archive-file.ts'
import { withArchiver } from './identify.ts'
import { startWorker } from './worker-start.ts'

export interface PushRequest extends ReadyFile {
  /** PostgreSQL's working directory. */
  readonly dataDirectory: string
}

/** Archives one WAL file, see archiveFile, by itself; and has a worker started for the next ones. */
export async function push(request: PushRequest, config: Config): Promise<void> {
  await withArchiver(request.dataDirectory, config, async (archiver) => {
    await startWorker(archiver, request.walName)
    await archiveFile(archiver, request)
  })
}
