import { type Bell, newBell } from '../bell.ts'
import { watchFolder } from '../fs/folder-watch.ts'

/** How often it rings when nothing happens, in milliseconds. */
const lookAround = 1000

/** Rings when something has changed in a directory, and every now and then, until it is closed. */
export interface WatchBell extends Bell {
  close(): void
}

/**
 * By inotify, which tells as well when a file is taken away.
 *
 * @param counts whether this file is a reason to ring
 */
export function watchDirectory(directory: string, counts: (file: string) => boolean): WatchBell {
  const bell = newBell()
  const timer = setInterval(bell.ring, lookAround)
  const heard = (file: string) => {
    if (counts(file)) bell.ring()
  }
  const watcher = watchFolder(directory, heard, 'looks every second')
  return {
    ...bell,
    close() {
      clearInterval(timer)
      watcher?.close()
    },
  }
}
