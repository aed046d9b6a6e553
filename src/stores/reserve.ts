import { PgarchError } from '../errors.ts'
import type { Digest, PathDescription, Probe } from './store.ts'

/**
 * Throws `unusable` when a file would leave a path less than its reserve. The file counts uncompressed:
 * how small it becomes is known only when it is written. A server that does not say how much space
 * there is lets everything pass.
 */
export function checkReserve(
  { name, rootPath, reserveBytes }: PathDescription,
  { walName, size }: Pick<Digest, 'walName' | 'size'>,
  { freeBytes }: Probe,
): void {
  if (freeBytes === undefined || freeBytes - size >= reserveBytes) return
  const message =
    `path "${name}": "${walName}" of ${size} bytes would eat into the reserve: ` +
    `${freeBytes} bytes are free in "${rootPath}", and ${reserveBytes} are to stay free`
  throw new PgarchError('unusable', message, {
    hint: 'Make room there, or lower the reserve.',
  })
}
