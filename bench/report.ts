import { type CpuTimes, withSpread } from './measure.ts'

/** What the rounds gave, by the contenders' names. */
export type Rounds<Result> = readonly ReadonlyMap<string, Result>[]

/** Two contenders of the same rounds: the first over the second. */
export interface Row {
  readonly what: string
  readonly goal: string
  readonly ratios: readonly number[]
}

/** One line a contender: a figure, and the CPU that went into it, each as its median with its spread. */
export function printResults<Result extends { cpu: CpuTimes }>(
  rounds: Rounds<Result>,
  figures: (result: Result) => Readonly<Record<string, number>>,
): void {
  const spreads = (all: readonly Readonly<Record<string, number>>[], names: readonly string[]) =>
    names.map((name) => `${name} ${withSpread(all.map((one) => one[name] ?? 0))}`.trim()).join(', ')
  for (const name of new Set(rounds.flatMap((round) => [...round.keys()]))) {
    const results = rounds.flatMap((round) => round.get(name) ?? [])
    const all = results.map(figures)
    const cpu = results.map((result) => result.cpu)
    console.log(
      `  ${name}: ${spreads(all, Object.keys(all[0] ?? {}))}; ` +
        `CPU: ${spreads(cpu, Object.keys(cpu[0] ?? {}))}`,
    )
  }
}

/** Round by round, where both took part. */
export function ratios<Result>(
  rounds: Rounds<Result>,
  value: (result: Result) => number,
  one: string,
  other: string,
): number[] {
  return rounds.flatMap((round) => {
    const [over, under] = [round.get(one), round.get(other)]
    return over === undefined || under === undefined ? [] : [value(over) / value(under)]
  })
}

export function printRatios(rows: readonly Row[]): void {
  console.log('\nRatios')
  for (const { what, goal, ratios } of rows) {
    if (ratios.length > 0) console.log(`  ${what}: ${withSpread(ratios, 2)}; goal ${goal}`)
  }
}
