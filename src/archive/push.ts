import type { Config } from '../config.ts'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'
import { archiveFile, type ReadyFile } from './archive-file.ts'
import { identifyArchiver } from './identify.ts'
import { startWorker } from './worker-start.ts'

export interface PushRequest extends ReadyFile {
  readonly dataDirectory: string
}

/** Archives one WAL file, see archiveFile, with nobody's help. */
export async function push(request: PushRequest, config: Config): Promise<void> {
  const archiver = await identifyArchiver(request.dataDirectory, config)
  await startWorker(archiver, request.walName)
  try {
    await archiveFile(archiver, request)
  } finally {
    await archiver.rests.save().catch((error: unknown) => {
      log.warning(`could not remember what failed: ${describeError(error)}`)
    })
  }
}
