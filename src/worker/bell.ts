import { type FSWatcher, watch } from 'node:fs'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'

/** How often it rings when nothing happens, in milliseconds. */
const lookAround = 1000

/** Rings when something has changed in a directory, and every now and then. */
export interface Bell {
  /** Resolves when it rings; resolved, too, when it rang before anybody asked. */
  rings(): Promise<void>
  /** Before looking what there is: what comes later rings again. */
  answer(): void
  close(): void
}

/**
 * By inotify, which tells as well when a file is taken away.
 *
 * @param counts whether this file is a reason to ring
 */
export function watchDirectory(directory: string, counts: (file: string) => boolean): Bell {
  let ring = Promise.withResolvers<void>()
  const timer = setInterval(() => ring.resolve(), lookAround)
  const watcher = watchUnlessImpossible(directory, (file) => {
    if (counts(file)) ring.resolve()
  })
  return {
    rings: () => ring.promise,
    answer() {
      ring = Promise.withResolvers()
    },
    close() {
      clearInterval(timer)
      watcher?.close()
    },
  }
}

/** Undefined where the kernel has no watch left to give: fs.inotify.max_user_instances is 128. */
function watchUnlessImpossible(
  directory: string,
  changed: (file: string) => void,
): FSWatcher | undefined {
  try {
    const watcher = watch(directory, (_event, file) => changed(file ?? ''))
    watcher.on('error', () => {}) // the directory is gone, which the lifetime notices
    return watcher
  } catch (error) {
    log.warning(`could not watch "${directory}", and looks every second: ${describeError(error)}`)
    return undefined
  }
}
