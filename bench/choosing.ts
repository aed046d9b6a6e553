import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openMarkers } from '../src/worker/markers.ts'
import { readyQueue } from '../src/worker/queue.ts'

/** Milliseconds to hand out so many ready files, each archived and taken by PostgreSQL at once. */
export async function choosing(folder: string, count: number): Promise<number> {
  const dataDirectory = join(folder, `ready-${count}-${performance.now()}`)
  const status = join(dataDirectory, 'pg_wal', 'archive_status')
  mkdirSync(status, { recursive: true })
  for (let number = 1; number <= count; number++) {
    const log = Math.floor(number / 256)
    const name = [1, log, number % 256]
      .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
      .join('')
    writeFileSync(join(status, `${name}.ready`), '')
  }
  const markers = await openMarkers(join(dataDirectory, 'state'), 'life')
  const queue = readyQueue(dataDirectory, markers, undefined)
  const start = performance.now()
  for (let name = await queue.next(); name !== undefined; name = await queue.next()) {
    await markers.pushed(name, [])
    queue.done(name, 'pushed')
    renameSync(join(status, `${name}.ready`), join(status, `${name}.done`))
  }
  return performance.now() - start
}
