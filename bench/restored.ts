import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, ownByUnprivileged } from '../test/support/folder.ts'
import type { Groups } from './measure.ts'
import {
  appendSettings,
  freePort,
  postgresProgram,
  postmasterPid,
  run,
  stopServer,
} from './servers.ts'

/** What restores, as PostgreSQL calls it. */
export interface Restorer {
  readonly name: string
  readonly command: string
  readonly environment: NodeJS.ProcessEnv
  /** Its processes, beside those that recovery starts and waits for. */
  readonly groups: Groups
  prepare(): Promise<void>
  /** Leaves nothing of it running. */
  finish(): Promise<void>
}

/** A base backup on its way through the archive. */
export interface Restored {
  readonly groups: Groups
  /** The server's log of its present life; rejects when the server has ended. */
  log(): LogLine[]
  /** Resolves when a line of the log has the text. */
  until(text: string): Promise<void>
  end(): Promise<void>
}

export interface LogLine {
  /** Milliseconds since 1970. */
  readonly time: number
  readonly text: string
}

const lookEvery = 50

/** Starts a copy of the backup, with all that matters to recovery as PostgreSQL has it by default. */
export async function startRestored(
  folder: string,
  backup: string,
  restorer: Restorer,
  signal: 'recovery' | 'standby',
): Promise<Restored> {
  const parent = makeFolder(folder, 'restored')
  const dataDirectory = restoredDirectory(folder)
  run('cp', ['-a', backup, dataDirectory])
  const signalFile = join(dataDirectory, `${signal}.signal`)
  writeFileSync(signalFile, '')
  ownByUnprivileged(signalFile)
  appendSettings(dataDirectory, {
    port: String(await freePort()),
    unix_socket_directories: parent,
    archive_mode: 'off',
    wal_keep_size: '0',
    max_wal_size: '1GB',
    checkpoint_timeout: '5min',
    fsync: 'on',
    log_line_prefix: '%n ',
    restore_command: restorer.command,
  })
  await restorer.prepare()
  run('sync', [])
  const file = join(parent, 'log')
  const words = ['start', '-W', '-s', '-D', dataDirectory, '-l', file]
  run(postgresProgram('pg_ctl'), words, restorer.environment)

  function pid(): number | undefined {
    return existsSync(join(dataDirectory, 'postmaster.pid'))
      ? postmasterPid(dataDirectory)
      : undefined
  }
  const log = () => readLog(file)
  return {
    groups: { server: pid, ...restorer.groups },
    log,
    async until(text) {
      for (let started = false; !log().some((line) => line.text.includes(text)); ) {
        if (started && pid() === undefined) {
          throw new Error(`${restorer.name}: ${readFileSync(file, 'utf8').slice(-2000)}`)
        }
        started ||= pid() !== undefined
        await sleep(lookEvery)
      }
    },
    async end() {
      stopServer(dataDirectory)
      await restorer.finish()
      rmSync(parent, { recursive: true })
    },
  }
}

/** One place for all of them, one after another: a restore is told by its data directory. */
export function restoredDirectory(folder: string): string {
  return join(folder, 'restored', 'data')
}

function readLog(file: string): LogLine[] {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return [...text.matchAll(/^(\d+\.\d+) (.*)$/gm)].map(([, seconds, line = '']) => ({
    time: Number(seconds) * 1000,
    text: line,
  }))
}
