import { truncate } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../errors.ts'
import { hasCode } from '../fs/errors.ts'
import { watchFolder } from '../fs/folder-watch.ts'
import { log } from '../log.ts'
import { parseTrigger, readStart } from './trigger-request.ts'
import type { Trigger } from './wait-policy.ts'

/** The file by which a person ends a recovery that waits, as pg_standby has it. It is never removed. */
export interface TriggerFile {
  /** What cannot be read or understood is warned of once, and asks for nothing. */
  read(): Promise<Trigger>
  /** After `fast`: empties it, so that from now on it is smart. */
  useUp(): Promise<void>
  close(): void
}

/**
 * @param path undefined: there is none
 * @param changed called when it may have changed, besides by who reads it every now and then
 */
export function openTriggerFile(path: string | undefined, changed: () => void): TriggerFile {
  if (path === undefined) return { read: async () => 'none', useUp: async () => {}, close() {} }
  const name = basename(path)
  const watcher = watchFolder(
    dirname(path),
    (file) => {
      if (file === name) changed()
    },
    'looks for the trigger file every --sleep seconds',
  )
  let told = ''
  function warn(message: string, hint?: string): 'none' {
    if (message !== told) log.warning(message, hint)
    told = message
    return 'none'
  }
  return {
    async read() {
      let content: string
      try {
        content = await readWhole(path)
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return 'none'
        return warn(`could not read trigger file "${path}": ${describeError(error)}`)
      }
      const trigger = parseTrigger(content)
      if (trigger !== undefined) return trigger
      return warn(
        `trigger file "${path}" says neither "smart" nor "fast", and is ignored`,
        'An empty one means smart.',
      )
    },
    async useUp() {
      // By signal, there may be none.
      const { content } = await readStart(path).catch(() => ({ content: '' }))
      if (parseTrigger(content) !== 'fast') return
      await truncate(path).catch((error: unknown) => {
        log.warning(`could not empty trigger file "${path}": ${describeError(error)}`)
      })
    },
    close: () => watcher?.close(),
  }
}

/** A shell makes the file, and then writes to it: one that was made in this moment may not stay empty. */
async function readWhole(path: string): Promise<string> {
  const first = await readStart(path)
  if (first.content !== '' || Date.now() - first.changed > 1000) return first.content
  await sleep(200)
  return (await readStart(path)).content
}
