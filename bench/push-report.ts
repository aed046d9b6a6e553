import type { Drained } from './archiver.ts'
import type { MarkerTimes } from './marker.ts'
import { median, withSpread } from './measure.ts'
import { printRatios, printResults, type Row, ratios } from './report.ts'
import type { Steady } from './steady.ts'

/** By the contenders' names. */
export interface Round {
  readonly drained: ReadonlyMap<string, Drained>
  readonly steady: ReadonlyMap<string, Steady>
  readonly marker: MarkerTimes
  /** Milliseconds. */
  readonly choosing: { readonly few: number; readonly many: number }
}

/** How many ready files there are to choose from. */
export const readyFiles = { few: 100, many: 10_000 }

/** Every figure as its median over the rounds, with the least and the most; ratios round by round. */
export function printReport(
  rounds: readonly Round[],
  memory: ReadonlyMap<string, readonly number[]>,
): void {
  console.log('\nDraining held segments: segments/s, and CPU in ms a segment')
  printResults(drained(rounds), ({ segmentsPerSecond }) => ({ '': segmentsPerSecond }))
  console.log('\nOne segment a second: ms from .ready to .done, and CPU in ms a segment')
  printResults(steady(rounds), ({ latencies }) => ({ '': median(latencies) }))
  console.log('\nMost memory of the worker, in MB')
  for (const [name, megabytes] of memory) console.log(`  ${name}: ${withSpread(megabytes, 0)}`)
  console.log('\nOne call, in ms')
  const markers = rounds.map(({ marker }) => marker)
  console.log(
    `  a push that finds its marker: ${withSpread(
      markers.map(({ push }) => push),
      2,
    )}`,
  )
  console.log(
    `  test ! -f && cp of 16 MB: ${withSpread(
      markers.map(({ copy }) => copy),
      2,
    )}`,
  )
  console.log('\nChoosing work, in microseconds a file')
  const each = (kind: 'few' | 'many') =>
    rounds.map(({ choosing }) => (choosing[kind] / readyFiles[kind]) * 1000)
  console.log(`  of ${readyFiles.few}: ${withSpread(each('few'), 0)}`)
  console.log(`  of ${readyFiles.many}: ${withSpread(each('many'), 0)}`)
  printRatios(rows(rounds))
}

const drained = (rounds: readonly Round[]) => rounds.map((round) => round.drained)
const steady = (rounds: readonly Round[]) => rounds.map((round) => round.steady)

function rows(rounds: readonly Round[]): Row[] {
  const rate = (one: string, other: string) =>
    ratios(drained(rounds), ({ segmentsPerSecond }) => segmentsPerSecond, one, other)
  const time = (one: string, other: string) =>
    ratios(steady(rounds), ({ latencies }) => median(latencies), one, other)
  return [
    {
      what: 'marker found / cp, time',
      goal: '<= 0.1',
      ratios: rounds.map(({ marker }) => marker.push / marker.copy),
    },
    { what: 'local / cp + sync, rate', goal: '>= 1.3', ratios: rate('pgarch, local', 'cp + sync') },
    {
      what: 'local / pgBackRest, rate',
      goal: '>= 1.5',
      ratios: rate('pgarch, local', 'pgBackRest'),
    },
    { what: 'SFTP / scp, rate', goal: '>= 6', ratios: rate('pgarch, SFTP', 'scp') },
    {
      what: 'SFTP with native crypto / scp, rate',
      goal: '>= 8',
      ratios: rate('pgarch, SFTP, native crypto', 'scp'),
    },
    {
      what: 'SFTP at 50 ms / at 0 ms, rate',
      goal: '>= 0.7',
      ratios: rate('pgarch, SFTP by a proxy, 50 ms', 'pgarch, SFTP by a proxy, 0 ms'),
    },
    {
      what: 'steady load / pgBackRest, time',
      goal: '<= 0.4',
      ratios: time('pgarch, local', 'pgBackRest'),
    },
    {
      what: 'choosing of 10,000 / of 100, time a file',
      goal: '<= 1, about',
      ratios: rounds.map(
        ({ choosing }) => choosing.many / readyFiles.many / (choosing.few / readyFiles.few),
      ),
    },
  ]
}
