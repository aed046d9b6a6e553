import { withSpread } from './measure.ts'
import type { Polled } from './polling.ts'
import type { PrefetchedTimes } from './prefetched.ts'
import type { Recovered } from './recovery.ts'
import { printRatios, printResults, ratios } from './report.ts'

/** By the restorers' names. */
export interface Round {
  readonly recovered: ReadonlyMap<string, Recovered>
  readonly polled: ReadonlyMap<string, Polled>
  readonly prefetched: PrefetchedTimes
  /** Segments a second. */
  readonly decoded: number
}

/** What one core is to unpack and verify, in segments a second. */
const decodingGoal = 60

/** Every figure as its median over the rounds, with the least and the most; ratios round by round. */
export function printFetchReport(rounds: readonly Round[]): void {
  const recovered = rounds.map((round) => round.recovered)
  console.log('\nArchive recovery: s until promoted, segments/s, and CPU in ms a segment')
  printResults(recovered, ({ seconds, segmentsPerSecond }) => ({
    '': seconds,
    'segments/s': segmentsPerSecond,
  }))
  console.log('\nA standby that asks for more than there is: CPU in ms a minute')
  printResults(
    rounds.map(({ polled }) => polled),
    () => ({}),
  )
  console.log('\nOne call, in ms')
  const [fetch, copy] = (['fetch', 'copy'] as const).map((kind) =>
    rounds.map(({ prefetched }) => prefetched[kind]),
  )
  console.log(`  a fetch that finds its segment: ${withSpread(fetch ?? [], 2)}`)
  console.log(`  cp of 16 MB: ${withSpread(copy ?? [], 2)}`)
  console.log('\nUnpacking and verifying on one core, in segments/s')
  const decoded = rounds.map((round) => round.decoded)
  console.log(`  ${withSpread(decoded)}`)

  const time = (one: string, other: string) =>
    ratios(recovered, ({ seconds }) => seconds, one, other)
  printRatios([
    {
      what: 'prefetched / cp, time of a call',
      goal: '<= 0.3',
      ratios: rounds.map(({ prefetched }) => prefetched.fetch / prefetched.copy),
    },
    { what: 'SFTP / cp, time', goal: '<= 1.25', ratios: time(names.sftp, names.copy) },
    { what: 'SFTP at 50 ms / at 0 ms, time', goal: '<= 1.2', ratios: time(names.far, names.near) },
    { what: 'SFTP / pgBackRest, time', goal: '<= 0.8', ratios: time(names.sftp, names.peer) },
    { what: 'local / pgBackRest, time', goal: 'stated', ratios: time(names.local, names.peer) },
    { what: 'local / cp, time', goal: 'stated', ratios: time(names.local, names.copy) },
    {
      what: 'SFTP / SFTP without prefetching, time',
      goal: 'stated',
      ratios: time(names.sftp, names.alone),
    },
    {
      what: `unpacking / ${decodingGoal} segments/s`,
      goal: '>= 1',
      ratios: decoded.map((rate) => rate / decodingGoal),
    },
  ])
}

export const names = {
  copy: 'cp',
  sftp: 'pgarch, SFTP',
  local: 'pgarch, local',
  peer: 'pgBackRest',
  alone: 'pgarch, SFTP, fetch.prefetch=0',
  near: 'pgarch, SFTP by a proxy, 0 ms',
  far: 'pgarch, SFTP by a proxy, 50 ms',
} as const
