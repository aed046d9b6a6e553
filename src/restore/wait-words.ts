import { log } from '../log.ts'
import { readServerSetting } from '../postgres/server-setting.ts'
import type { Round } from './round.ts'
import type { WaitMeans } from './wait-means.ts'
import type { Standing, WaitDecision } from './wait-policy.ts'

/** What a wait tells in the server's log: each thing once, however often it asks. */
export interface WaitWords {
  /** After each round. */
  round(round: Round, standing: Standing, decision: WaitDecision): void
  /** Recovery ends although nobody looked any more what is archived. */
  fast(): void
  once(message: string, hint?: string): void
}

export function wordsOfWait(walName: string): WaitWords {
  const told = new Set<string>()
  let outage: Round | undefined

  function once(message: string, hint?: string): void {
    if (!told.has(message)) log.warning(message, hint)
    told.add(message)
  }

  function tellDoubts({ doubts }: Round): void {
    for (const { message, hint } of doubts) once(message, hint)
  }

  return {
    once,
    round(round, { trigger, maxWaitIsOver }, decision) {
      if (round.outcome === 'placed' || round.outcome === 'absent') {
        if (outage !== undefined) log.info(`can tell again whether "${walName}" is archived`)
        outage = undefined
        tellDoubts(round)
        return
      }
      if (outage === undefined) {
        told.clear()
        tellDoubts(round)
        log.warning(
          `cannot tell whether "${walName}" is archived${decision === 'wait' ? ' yet, and asks again' : ''}`,
        )
      }
      outage = round
      if (decision !== 'wait') {
        log.info(`"${walName}" lies in pg_wal, from where the server takes it`)
      } else if (trigger === 'smart' || maxWaitIsOver) {
        once(
          `recovery was told to end, but nobody can tell whether "${walName}" is archived: it waits on`,
          'To end it without what could not be asked, write "fast" into the trigger file, or send SIGUSR1.',
        )
      }
    },
    fast() {
      log.warning(
        `recovery ends now, by a fast trigger: "${walName}" is not looked for`,
        'WAL that was archived from there on is not on this server. It stays in the archive.',
      )
      for (const { message } of outage?.doubts ?? []) log.warning(`could not be asked: ${message}`)
    },
  }
}

/**
 * With recovery_prefetch the server asks for the next segment while it has up to wal_decode_buffer_size
 * of records unreplayed, which stay so as long as the answer takes; a hot standby may then not even
 * become consistent. Warns of it, once in a server's life.
 */
export async function warnOfRecoveryPrefetch({ server, notes }: WaitMeans): Promise<void> {
  if (server === undefined || server.dataDirectory.majorVersion < 15) return
  if ((await notes.read('recovery-prefetch')) !== undefined) return
  const value = await readServerSetting(server.dataDirectory.path, 'recovery_prefetch')
  if (value === undefined) return
  if (value !== 'off') {
    log.warning(
      `recovery_prefetch is "${value}": while pgarch waits, the last records before the missing segment are not replayed`,
      'Set recovery_prefetch = off on this server, and restart it.',
    )
  }
  await notes.write('recovery-prefetch', value)
}
