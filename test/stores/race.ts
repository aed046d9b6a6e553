import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { expect } from 'vitest'
import type { PathDescription, Store, StoreOptions } from '../../src/stores/store.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import type { Bed } from './bed.ts'
import { fingerprint } from './samples.ts'

export interface RacerArguments {
  readonly path: PathDescription
  readonly options: StoreOptions
}

export interface Round {
  readonly name: string
  readonly walName: string
  /** base64 */
  readonly bytes: string
}

/** What became of the put: its outcome, or the failure of the PgarchError. */
export type Result = string

const rounds = 200

/**
 * Two processes put under the same names at the same time: other content, and in every fourth round
 * the same. Exactly one may win, the loser must know, and the winner's bytes must be there, whole.
 */
export async function race(store: Store, bed: Bed, destination: string): Promise<void> {
  const racers = [startRacer(store.path, bed), startRacer(store.path, bed)] as const
  try {
    await Promise.all(racers.map((racer) => once(racer, 'message')))
    for (let number = 0; number < rounds; number++) {
      const walName = `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`
      const name = storedName(fingerprint, walName)
      const contents = [randomBytes(60_000), randomBytes(60_000)] as const
      const same = number % 4 === 0
      const results = await Promise.all(
        racers.map((racer, index) => {
          const bytes = contents[same ? 0 : index] as Buffer
          return ask(racer, { name, walName, bytes: bytes.toString('base64') })
        }),
      )
      expect([...results].sort()).toEqual([same ? 'already-stored' : 'conflict', 'stored'])
      const winner = contents[same ? 0 : results.indexOf('stored')] as Buffer
      await store.get(name, destination)
      expect(readFileSync(destination).equals(winner)).toBe(true)
      await rm(destination)
    }
  } finally {
    for (const racer of racers) racer.kill('SIGKILL')
  }
}

function startRacer(path: PathDescription, bed: Bed): ChildProcess {
  const given: RacerArguments = { path, options: bed.options }
  return fork(new URL('./racer.ts', import.meta.url), [JSON.stringify(given)], { execArgv: [] })
}

async function ask(racer: ChildProcess, round: Round): Promise<Result> {
  const answer = once(racer, 'message')
  racer.send(round)
  const [result] = await answer
  return result
}
