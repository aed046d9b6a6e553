import { join } from 'node:path'
import type { Finished } from '../support/fleet.ts'
import { chosen, report } from './extent.ts'
import type { Host, RunOptions, Wal } from './host.ts'
import {
  type CallSite,
  callsBelow,
  callsOnSockets,
  injecting,
  readCalls,
  recording,
} from './strace.ts'

/** A command to which something happens at its system calls, each time in a round of its own. */
export interface Sweep {
  readonly host: Host
  /** What is done, for messages. */
  readonly title: string
  /** Calls on what lies below these count. */
  readonly folders: readonly string[]
  /** How many rounds are enough where not all are wanted. */
  readonly few: number
  /** It looks about as time goes by, so that a slow run makes more calls than another. */
  readonly looksAbout?: boolean
  /** Lays out what a round begins with; the file is the first one of its log. */
  prepare(round: Round): Promise<Wal>
  run(wal: Wal, options: RunOptions): Promise<Finished>
  /** Looks at what is left, and repeats the command. */
  check(wal: Wal, round: Round, ended: Finished): Promise<void>
}

/** No two rounds of a test file have a number in common. */
export interface Round {
  readonly number: number
  /** For the names that a run makes up; `use` is a letter from b to f, or a for the run itself. */
  seed(use: string): string
}

interface Fault {
  readonly site: CallSite
  /** As strace has it: `signal=KILL`, `error=EIO`. */
  readonly what: string
}

/** The calls that an undisturbed run makes, to be met again in any other round. */
interface Model {
  readonly round: Round
  readonly wal: Wal
  readonly onFiles: readonly CallSite[]
  readonly onSockets: readonly CallSite[]
}

let rounds = 0

/** Kills the command at every call on its files, and at every transfer over a socket. */
export async function killEverywhere(sweep: Sweep): Promise<void> {
  const model = await observe(sweep)
  const { onFiles, onSockets } = model
  const sites = [...chosen(onFiles, sweep.few), ...chosen(onSockets, sweep.few / 2)]
  let killed = 0
  for (const site of sites) {
    await inject({ site, what: 'signal=KILL' }, model, {
      ...sweep,
      async check(wal, round, ended) {
        const isKilled = /ended with status 137/.test(ended.stderr)
        if (isKilled) killed++
        // Names are known, so calls on files are met exactly; what sockets carry comes as it comes.
        else if (ended.status !== 0 || (site.paths.length > 0 && !sweep.looksAbout)) {
          throw new Error('it was not killed')
        }
        await sweep.check(wal, round, ended)
      },
    })
  }
  const counts = { 'calls on files': onFiles.length, 'on sockets': onSockets.length }
  report(sweep.title, { ...counts, killed })
}

/** Lets the calls on its files fail, by name, with each of these errors. */
export async function failEverywhere(
  sweep: Sweep,
  errors: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const model = await observe(sweep)
  const faults = model.onFiles.flatMap((site) =>
    (errors[site.call] ?? []).map((error) => ({ site, what: `error=${error}` })),
  )
  const some = chosen(faults, sweep.few)
  const failures: unknown[] = []
  for (const fault of some)
    await inject(fault, model, sweep).catch((e) => {
      failures.push(e)
    })
  if (failures.length > 0) throw new Error(failures.map(String).join('\n\n'))
  report(sweep.title, { failed: some.length })
}

async function observe(sweep: Sweep): Promise<Model> {
  const round = nextRound()
  const wal = await sweep.prepare(round)
  const log = join(sweep.host.fleet.folder, `calls-${round.number}`)
  const ended = await sweep.run(wal, { before: recording(log), seed: round.seed('a') })
  if (ended.status !== 0) throw new Error(`${sweep.title} failed undisturbed: ${ended.stderr}`)
  await sweep.check(wal, round, ended)
  const calls = readCalls(log)
  return {
    round,
    wal,
    onFiles: callsBelow(sweep.folders, calls),
    onSockets: callsOnSockets(calls),
  }
}

async function inject({ site, what }: Fault, model: Model, sweep: Sweep): Promise<void> {
  const round = nextRound()
  const wal = await sweep.prepare(round)
  const paths = site.paths.map((path) =>
    [...'abcdef']
      .reduce((moved, use) => moved.replaceAll(model.round.seed(use), round.seed(use)), path)
      .replaceAll(model.wal.name.slice(0, 16), wal.name.slice(0, 16)),
  )
  const before = injecting({ ...site, paths }, what)
  const ended = await sweep.run(wal, { before, seed: round.seed('a') })
  try {
    await sweep.check(wal, round, ended)
  } catch (error) {
    const where = `${sweep.title}, ${what} at ${site.call} number ${site.number}`
    throw new Error(`${where}: ${error}\n${ended.stderr}`, { cause: error })
  }
}

function nextRound(): Round {
  const number = ++rounds
  return { number, seed: (use) => `${use}${number.toString(16).padStart(7, '0')}` }
}
