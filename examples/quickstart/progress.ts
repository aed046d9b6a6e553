import { setTimeout as sleep } from 'node:timers/promises'
import chalk from 'chalk'
import { SingleBar } from 'cli-progress'
import { PgarchError } from '../../src/errors.ts'

/** Tells what is going on: a line for each step, a bar for what takes a while. */
export interface Progress {
  step(title: string): void
  note(text: string): void
  /** Measures again and again until the goal is reached; rejects when nothing moves any more. */
  until(what: string, goal: number, measure: () => Promise<number>): Promise<void>
}

/**
 * In milliseconds: between two measurements; and without any change, until it is given up. PostgreSQL's
 * archiver pauses for a minute after three failures.
 */
const pause = 250
const patience = 150_000

export function showProgress(steps: number, interruption: AbortSignal): Progress {
  let number = 0
  return {
    step(title) {
      number += 1
      print(chalk.bold(`[${number}/${steps}] ${title}`))
    },
    note(text) {
      print(`      ${text}`)
    },
    async until(what, goal, measure) {
      const bar = makeBar(what)
      bar.start(goal, 0)
      try {
        await climb(what, goal, measure, bar, interruption)
      } finally {
        bar.stop()
      }
    },
  }
}

async function climb(
  what: string,
  goal: number,
  measure: () => Promise<number>,
  bar: SingleBar,
  interruption: AbortSignal,
): Promise<void> {
  let reached = 0
  for (let deadline = Date.now() + patience; reached < goal; ) {
    const measured = await measure()
    if (measured > reached) deadline = Date.now() + patience
    reached = measured
    bar.update(Math.min(reached, goal))
    if (reached >= goal) return
    if (Date.now() > deadline) {
      throw new PgarchError('unusable', `${what}: stuck at ${reached} of ${goal}`, {
        hint: "See the servers' logs.",
      })
    }
    await sleep(pause, undefined, { signal: interruption })
  }
}

/** Redrawn on a terminal; in a pipe a line now and then. */
function makeBar(what: string): SingleBar {
  return new SingleBar({
    format: `      ${what.padEnd(28)} [{bar}] {value}/{total}`,
    barsize: 24,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    stream: process.stdout,
    noTTYOutput: true,
    notTTYSchedule: 5000,
    clearOnComplete: !process.stdout.isTTY, // it adds an empty line otherwise
  })
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}
