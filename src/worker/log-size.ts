import { fstatSync, ftruncateSync } from 'node:fs'

/** Bytes. */
const largest = 1024 * 1024

/** Begins worker.log, which is standard error, anew once it has grown large: outages can be long. */
export function keepLogSmall(): void {
  const stats = fstatSync(process.stderr.fd)
  if (stats.isFile() && stats.size > largest) ftruncateSync(process.stderr.fd)
}
