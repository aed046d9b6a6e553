import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, keepingNames } from '../config.ts'
import { PgarchError } from '../errors.ts'
import { log } from '../log.ts'
import { readControlFile } from '../postgres/control-file.ts'
import type { DataDirectory } from '../postgres/data-directory.ts'
import { isRunning, type Life, readLife } from '../postgres/life.ts'
import { connectToOwnServer, endConnection } from '../postgres/own-server.ts'
import type { Connection } from '../postgres/production.ts'
import { isInRecovery, isStandby } from '../postgres/recovery-role.ts'
import { promote } from '../postgres/replay.ts'
import { lastRestoredSegment, newestTimeline } from '../postgres/restored-segments.ts'
import { readServerSetting } from '../postgres/server-setting.ts'
import { openStandbyHost, type StandbyHost } from './standby-host.ts'
import { describePosition, readPosition } from './standby-position.ts'
import { type FailoverKind, writeTrigger } from './trigger-request.ts'

export interface FailoverRequest {
  readonly pgdata: string
  readonly kind: FailoverKind
  /** Only says where the server stands. */
  readonly isDryRun: boolean
  /** `--cluster`, a name or a fingerprint, or null. */
  readonly clusterName: string | null
  /** Role on the server; otherwise the operating system user's name. */
  readonly pguser: string | undefined
  /** Milliseconds until it must be promoted. */
  readonly timeout: number
}

/** Between two looks whether it is promoted, and between two words about it, in milliseconds. */
const pause = { look: 200, progress: 5000 }

/**
 * Makes a primary of a server in recovery, and resolves once it is one: with recovery.signal by the
 * trigger file that a waiting restore_command looks for, with standby.signal by pg_promote. Before that
 * it tells `say` what is archived, replayed and missing; that the scheduling database is down is no
 * reason not to go on. `refused` when the server is not in recovery; `unusable` when it could not be
 * told, or ended; `unreachable` when it was not promoted in time, which it may be later.
 */
export async function failover(
  request: FailoverRequest,
  given: Config,
  say: (line: string) => void,
): Promise<void> {
  const host = await openStandbyHost(request.pgdata, given)
  const config = keepingNames(given, host.stateDirectory)
  const { path } = host.dataDirectory
  const life = await requireRecovery(path)
  const hasStandbySignal = await isStandby(path)
  const triggerFile = hasStandbySignal ? undefined : requireTriggerFile(config)
  await withServer(host.dataDirectory, request.pguser, async (server) => {
    const connection = server instanceof PgarchError ? undefined : server
    say(`"${path}" is in recovery with ${hasStandbySignal ? 'standby' : 'recovery'}.signal:`)
    const position = await readPosition(host, connection, request.clusterName, config)
    for (const line of describePosition(position)) say(`  ${line}`)
    if (request.isDryRun) return

    if (triggerFile !== undefined) {
      await warnOfOtherTrigger(path, triggerFile)
      const what = await writeTrigger(triggerFile, request.kind)
      say(
        `trigger file "${triggerFile}" ${what === 'created' ? 'was created' : `is ${what}`}: ${meanings[request.kind]}`,
      )
    } else {
      if (server instanceof PgarchError) throw cannotPromote(server)
      if (request.kind === 'fast') {
        log.warning(
          'with standby.signal there is no fast failover',
          'The server applies everything that it can get, and then ends recovery.',
        )
      }
      await promote(server)
      say('the server was asked to promote')
    }
  })
  if (request.isDryRun) return
  await untilPromoted(host, life, request, say)
  say(`the server is a primary, on timeline ${await newestTimeline(path)}`)
}

const meanings = {
  smart: 'everything that is archived is applied, then recovery ends',
  fast: 'recovery ends now, and what is to apply is given up',
}

/** The life of a server that runs, and is in recovery; `refused` without. */
async function requireRecovery(path: string): Promise<Life> {
  if (!(await isInRecovery(path))) {
    throw new PgarchError('refused', `the server of "${path}" is not in recovery`, {
      hint: 'It has neither recovery.signal nor standby.signal: run this on the standby, with its data directory.',
    })
  }
  const life = await readLife(path)
  if (life !== undefined && isRunning(life.postmasterPid)) return life
  throw new PgarchError('refused', `no server runs on "${path}"`, {
    hint: 'Start it, and run this again when it is in recovery.',
  })
}

function requireTriggerFile({ triggerFile }: Config): string {
  if (triggerFile !== undefined) return triggerFile
  throw new PgarchError('usage', 'the trigger file is not set', {
    hint: 'Set fetch.trigger_file to the file that restore_command looks for. See docs/failover.md.',
  })
}

/** The server would go on waiting: it looks for what its restore_command names. */
async function warnOfOtherTrigger(dataDirectory: string, triggerFile: string): Promise<void> {
  const command = await readServerSetting(dataDirectory, 'restore_command')
  const named = /\s(?:-t|--trigger-file)[\s=]*(\S+)/.exec(command ?? '')?.[1]
  if (named === undefined || command?.includes(triggerFile)) return
  log.warning(
    `restore_command looks for trigger file ${named}, not for "${triggerFile}"`,
    'Set fetch.trigger_file to the same file.',
  )
}

/** A server that does not accept connections can be told by the trigger file all the same. */
async function withServer(
  dataDirectory: DataDirectory,
  pguser: string | undefined,
  use: (server: Connection | PgarchError) => Promise<void>,
): Promise<void> {
  const server = await connectToOwnServer(dataDirectory, pguser).catch((error: unknown) => {
    if (error instanceof PgarchError) return error
    throw error
  })
  if (server instanceof PgarchError) {
    await use(server)
    return
  }
  try {
    await use(server.connection)
  } finally {
    await endConnection(server.connection)
  }
}

function cannotPromote(cause: PgarchError): PgarchError {
  return new PgarchError(cause.failure, cause.message, {
    hint: 'A standby is promoted over a connection: name a superuser with --pguser. "pg_ctl promote" needs none.',
    cause,
  })
}

async function untilPromoted(
  { dataDirectory: { path } }: StandbyHost,
  life: Life,
  { timeout, kind }: FailoverRequest,
  say: (line: string) => void,
): Promise<void> {
  const start = performance.now()
  for (let told = start; !(await isPromoted(path)); await sleep(pause.look)) {
    const now = performance.now()
    if ((await readLife(path))?.name !== life.name || !isRunning(life.postmasterPid)) {
      throw new PgarchError('unusable', 'the server ended before it was promoted', {
        hint: "The server's log tells why.",
      })
    }
    if (now - start > timeout) {
      throw new PgarchError(
        'unreachable',
        `the server was not promoted within ${Math.round(timeout / 1000)} s`,
        {
          hint:
            `It was told, and may be replaying still${kind === 'smart' ? '; --fast gives up what is not replayed' : ''}. ` +
            'Does restore_command look for this trigger file? Run this again to go on waiting.',
        },
      )
    }
    if (now - told < pause.progress) continue
    told = now
    const given = await lastRestoredSegment(path)
    say(`still in recovery${given === undefined ? '' : `; it was given segments up to ${given}`}`)
  }
}

/** The signal files go first; a base backup's pg_control calls itself in production before recovery began. */
async function isPromoted(path: string): Promise<boolean> {
  if (await isInRecovery(path)) return false
  return (await readControlFile(path)).state === 'in production'
}
