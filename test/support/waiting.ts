import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { archiveSegment, type Fleet, waitFor } from './fleet.ts'
import { ownByUnprivileged } from './folder.ts'
import { installation } from './installation.ts'
import type { Server, Settings } from './postgres.ts'
import { countOf, startRestored, takeBackup } from './restored.ts'
import { filesOf } from './rows.ts'

/** A server in archive recovery that waits for WAL. */
export interface Waiting {
  readonly server: Server
  /** Writes the trigger file, as a person would. */
  trigger(content: string): void
  readonly triggerFile: string
}

export interface Source {
  readonly primary: Server
  readonly backup: string
}

/** A primary with a table of 100 numbers, and a backup of it that needs nothing of the archive. */
export async function startSource(
  fleet: Fleet,
  name: string,
  paths: readonly string[],
): Promise<Source> {
  const primary = await fleet.startPrimary(name, paths)
  await primary.query('create table numbers (n int)')
  await primary.query('insert into numbers select generate_series(1, 100)')
  const backup = await takeBackup(fleet, primary, `${name}-backup`, { includeWal: true })
  return { primary, backup }
}

/** Starts a backup as a hot standby by log shipping; `options` are those of `fetch --wait`. */
export async function startWaiting(
  fleet: Fleet,
  backup: string,
  options = '',
  more: {
    settings?: Settings
    environment?: Record<string, string>
    wait?: boolean
  } = {},
): Promise<Waiting> {
  const { settings, ...rest } = more
  const triggerFile = `${backup}.trigger`
  const { pgarch } = installation()
  const server = await startRestored(fleet, backup, 'recovery', {
    ...rest,
    settings: {
      restore_command: `"${pgarch}" fetch %f %p --wait --debug -t "${triggerFile}" ${options}`,
      recovery_prefetch: 'off',
      ...settings,
    },
  })
  return {
    server,
    triggerFile,
    trigger(content) {
      writeFileSync(triggerFile, content)
      ownByUnprivileged(triggerFile)
    },
  }
}

/** Adds 100 numbers, and resolves to the segment that they were archived in. */
export async function archiveNumbers(primary: Server): Promise<string> {
  await primary.query('insert into numbers select generate_series(1, 100)')
  return await archiveSegment(primary)
}

export async function untilReplayed(server: Server, count: number): Promise<void> {
  await waitFor(`${count} numbers are replayed`, async () => {
    return (await countOf(server, 'numbers')) === count
  })
}

/** Until it waits for the segment. */
export async function untilWaiting(server: Server, walName = ''): Promise<void> {
  await waitFor(`it waits for ${walName}`, () => server.log().includes(`waits for "${walName}`))
}

/** Until it waits for a segment behind everything that its cluster archived. */
export async function untilAtEnd(fleet: Fleet, cluster: string, server: Server): Promise<void> {
  await waitFor('it waits for what is not archived', async () => {
    const [last] = (await filesOf(fleet, cluster)).filter(isSegment).slice(-1)
    const waits = [...server.log().matchAll(/waits for "(\w{24})"/g)].at(-1)?.[1] ?? ''
    return last !== undefined && waits.slice(8) > last.file.slice(8)
  })
}

function isSegment({ file }: { file: string }): boolean {
  return /^\w{24}$/.test(file)
}

/** Launcher and Node.js of a call that waits, by the name of its trigger file. */
export function processesOf({ triggerFile }: Waiting): { pid: number; isLauncher: boolean }[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => ({ pid: Number(entry), words: wordsOf(entry) }))
    .filter(({ words }) => words.includes('fetch') && words.includes(triggerFile))
    .map(({ pid, words }) => ({ pid, isLauncher: !words.some((one) => one.endsWith('.cjs')) }))
}

function wordsOf(process: string): string[] {
  try {
    return readFileSync(`/proc/${process}/cmdline`, 'utf8').split('\0')
  } catch {
    return [] // it has ended
  }
}
