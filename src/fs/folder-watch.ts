import { type FSWatcher, watch } from 'node:fs'
import { describeError } from '../errors.ts'
import { log } from '../log.ts'

/**
 * Tells of every file that is made, changed or removed in a directory, by inotify. Undefined, and a
 * warning, where it cannot be watched: it is not there, or the kernel has no watch left to give
 * (fs.inotify.max_user_instances is 128). That the directory is gone later is not told.
 *
 * @param instead what the caller does where it cannot be watched, for the warning
 */
export function watchFolder(
  directory: string,
  changed: (file: string) => void,
  instead: string,
): FSWatcher | undefined {
  try {
    const watcher = watch(directory, (_event, file) => changed(file ?? ''))
    watcher.on('error', () => {})
    return watcher
  } catch (error) {
    log.warning(`could not watch "${directory}", and ${instead}: ${describeError(error)}`)
    return undefined
  }
}
