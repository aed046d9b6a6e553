import chalk from 'chalk'
import { PgarchError } from '../../src/errors.ts'
import type { Recovery } from './recover.ts'
import { isSegment, type LogEntry } from './scene.ts'

/** What came of it all. */
export interface Outcome {
  readonly log: readonly LogEntry[]
  readonly killTime: Date
  readonly recovery: Recovery
  /** Lines `table|rows|checksum`. */
  readonly data: { readonly primary: readonly string[]; readonly recovered: readonly string[] }
}

/** Rejects unless everything happened that the quickstart is to show. */
export function checkOutcome({ log, data }: Outcome): void {
  const fail = (what: string) => {
    throw new PgarchError('damaged', what)
  }
  if (data.primary.join() !== data.recovered.join()) fail("the two servers' data differ")
  if (!data.recovered.some((line) => line.startsWith('last|1|'))) {
    fail('the last transaction is not in the recovered data')
  }
  for (const path of ['berlin', 'madrid']) {
    if (storedOn(path, log).length === 0) fail(`nothing was archived on ${path}`)
  }
  if (!log.some(({ stored, pathName }) => !stored && pathName === 'berlin')) {
    fail('berlin was not tried while it was dead')
  }
}

/** For somebody who sees pgarch for the first time. */
export function describeOutcome(outcome: Outcome, seconds: number): string {
  const { log, killTime, recovery, data } = outcome
  const [berlin, madrid] = [storedOn('berlin', log), storedOn('madrid', log)]
  const failed = log.filter(({ stored }) => !stored).length
  const rows = data.recovered.reduce((sum, line) => sum + Number(line.split('|')[1]), 0)
  const transactions = data.recovered.find((line) => line.startsWith('pgbench_history|'))
  const next = madrid.find(({ time }) => new Date(time) > killTime)
  const delay = ((next ? Date.parse(next.time) : Number.NaN) - killTime.getTime()) / 1000
  return `
${chalk.green.bold('It works: what a primary archived under load, a second server recovered from.')}

  archived    ${berlin.length + madrid.length} WAL segments, during ${transactions?.split('|')[1]} transactions:
              ${berlin.length} went to path berlin, ${madrid.length} to path madrid
  failover    berlin was killed in mid-run; ${delay.toFixed(1)} s later the next segment was on
              madrid, and ${failed} tries on berlin failed without harm
  recovered   ${recovery.segments} segments, from a base backup on, in ${recovery.seconds.toFixed(1)} s
  compared    ${data.recovered.length} tables with ${rows} rows: equal, the last transaction included
  in all      ${seconds.toFixed(0)} s
`
}

function storedOn(path: string, log: readonly LogEntry[]): LogEntry[] {
  return log.filter(
    ({ stored, pathName, walName }) => stored && pathName === path && isSegment(walName),
  )
}
