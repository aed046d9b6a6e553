import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { readShipped } from '../../src/stores/read-shipped.ts'
import { headerSize, parseShippedName } from '../../src/stores/shipped-file.ts'
import { parseLsn } from '../../src/wal/lsn.ts'
import { parseWalName, segmentNumber, segmentStart } from '../../src/wal/names.ts'
import { type Fleet, waitFor } from './fleet.ts'
import { installation } from './installation.ts'
import type { Server } from './postgres.ts'
import { asUnprivileged } from './unprivileged.ts'

/** `pgarch ship` in the foreground of nobody. */
export interface RunningShipper {
  /** What it said so far. */
  log(): string
  readonly isRunning: boolean
  /** Signals the launcher alone. */
  killLauncher(signal: NodeJS.Signals): void
  /** Signals the launcher and Node.js. */
  kill(signal: NodeJS.Signals): void
  /** Resolves to its exit status; null when a signal ended the launcher. */
  ended(): Promise<number | null>
}

export interface ShipperOptions {
  readonly words?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** Starts one for a server; it ends with the test. */
export function startShipper(
  fleet: Fleet,
  server: Pick<Server, 'dataDirectory'>,
  { words = [], environment = {} }: ShipperOptions = {},
): RunningShipper {
  const { pgarch } = installation()
  const all = ['ship', '--pgdata', server.dataDirectory, '--pguser', 'postgres', ...words]
  const child = spawn(pgarch, all, {
    cwd: fleet.folder,
    detached: true,
    env: { ...fleet.environment, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...asUnprivileged(),
  })
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  const closed = once(child, 'close')
  const shipper: RunningShipper = {
    log: () => text,
    get isRunning() {
      return isRunning(child)
    },
    killLauncher(signal) {
      child.kill(signal)
    },
    kill(signal) {
      try {
        process.kill(-(child.pid ?? 0), signal)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    },
    async ended() {
      await closed
      return child.exitCode
    },
  }
  onTestFinished(async () => {
    shipper.kill('SIGCONT')
    shipper.kill('SIGKILL')
    await closed
  })
  return shipper
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/** The shipped files of a server's cluster below a path's root. */
export function shippedFiles(root: string, server: Pick<Server, 'dataDirectory'>): string[] {
  if (!existsSync(root)) return []
  const control = readFileSync(join(server.dataDirectory, 'global/pg_control'))
  const systemIdentifier = control.readBigUInt64LE().toString()
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.shipped'))
    .map((name) => join(root, name))
    .filter((file) => headerOf(file)?.system_identifier === systemIdentifier)
    .sort()
}

interface Header {
  readonly cluster: string
  readonly system_identifier: string
  readonly segment: string
  readonly segment_size: number
}

/** Undefined for a file that was removed, or has none yet. */
function headerOf(file: string): Header | undefined {
  try {
    return JSON.parse(readFileSync(file).toString('utf8', 0, headerSize))
  } catch {
    return undefined
  }
}

/** What a shipped file holds of its segment. */
export async function shippedContent(file: string): Promise<{ wal: Buffer; cut: number }> {
  const [name, header] = [parseShippedName(basename(file)), headerOf(file)]
  if (name === undefined || header === undefined) throw new Error(`"${file}" is no shipped file`)
  const bytes = readFileSync(file)
  const parts: Uint8Array[] = []
  const shipment = {
    ...name,
    fingerprint: header.cluster,
    systemIdentifier: header.system_identifier,
    walSegmentSize: header.segment_size,
  }
  const chunks = (async function* () {
    yield bytes
  })()
  const { cut } = await readShipped(chunks, shipment, async (wal) => {
    parts.push(wal)
  })
  return { wal: Buffer.concat(parts), cut }
}

/** How far the server has flushed. */
export async function flushedLsn(server: Server): Promise<bigint> {
  const [row] = await server.query<{ lsn: string }>(
    'select pg_current_wal_flush_lsn()::text as lsn',
  )
  return parseLsn(row?.lsn ?? '') ?? 0n
}

/** Resolves once a path's shipped files hold all that the server has flushed by now. */
export async function untilShipped(server: Server, root: string): Promise<void> {
  const flushed = await flushedLsn(server)
  await waitFor(
    `all is shipped up to ${flushed}`,
    async () => (await shippedUpTo(server, root)) >= flushed,
  )
}

/** The end of the server's newest shipped file. */
export async function shippedUpTo(
  server: Pick<Server, 'dataDirectory'>,
  root: string,
): Promise<bigint> {
  let end = 0n
  for (const file of shippedFiles(root, server)) {
    const header = headerOf(file)
    const name = parseWalName(header?.segment ?? '')
    if (header === undefined || name?.kind !== 'segment') continue
    const { segment_size: size } = header
    // It may have been removed since.
    const { wal } = await shippedContent(file).catch(() => ({ wal: Buffer.alloc(0) }))
    const here = segmentStart(segmentNumber(name, size) ?? 0, size) + BigInt(wal.length)
    if (here > end) end = here
  }
  return end
}

/** Settings for a server that takes an unfinished segment, too. */
export function includeShipped({ restoreSettings }: Fleet): Record<string, string> {
  const command = restoreSettings.restore_command ?? ''
  return { restore_command: command.replace('fetch', 'fetch --include-shipped') }
}
