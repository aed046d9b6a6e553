import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { temporaryFolder } from '../test/support/folder.ts'
import { describeMachine } from './measure.ts'

export interface Options {
  readonly rounds: number
  /** How many segments are archived, or restored. */
  readonly segments: number
  /** How long a measurement takes that has no end of its own. */
  readonly seconds: number
  /** Whether a contender takes part: all do unless `--only` names some. */
  wants(contender: { readonly name: string }): boolean
  /** For everything; it is removed when this process ends. */
  readonly folder: string
}

/** Reads what stands behind a bench's name, and says what it runs on. */
export function begin(words: string[], defaults: { rounds: number; seconds: number }): Options {
  const { values } = parseArgs({
    args: words,
    options: {
      rounds: { type: 'string', default: String(defaults.rounds) },
      segments: { type: 'string', default: '128' },
      seconds: { type: 'string', default: String(defaults.seconds) },
      only: { type: 'string', multiple: true },
    },
  })
  const { path: folder } = temporaryFolder('bench')
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  console.log(describeMachine())
  return {
    rounds: Number(values.rounds),
    segments: Number(values.segments),
    seconds: Number(values.seconds),
    wants: ({ name }) => values.only === undefined || values.only.includes(name),
    folder,
  }
}
