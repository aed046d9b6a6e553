import { constants } from 'node:os'
import { join } from 'node:path'
import { log } from '../../src/log.ts'
import { archiveUnderLoad, bringBack, takeBaseBackup } from './archive.ts'
import { openShell, type StopMode } from './commands.ts'
import { print, showProgress } from './progress.ts'
import { compare, lookAsDba, recover } from './recover.ts'
import { readLog, type Scene } from './scene.ts'
import { registerPrimary, setUpFleet, startMachines } from './set-up.ts'
import { checkOutcome, describeOutcome, type Outcome } from './summary.ts'
import { makeWorkplace, removeAllButLogs, untilNothingRuns } from './workplace.ts'

/**
 * pgarch's main job, for real, in a throwaway folder: archiving under load while a path dies, and a
 * recovery from what was archived. Read this function first.
 */
async function archiveAndRecover(scene: Scene): Promise<Outcome> {
  const machines = await startMachines(scene)
  await setUpFleet(scene, machines)
  await registerPrimary(scene)
  await takeBaseBackup(scene)
  const killTime = await archiveUnderLoad(scene, machines.berlin)
  await bringBack(scene, machines.berlin)
  const recovery = await recover(scene)
  const data = await compare(scene)
  await lookAsDba(scene)
  return { log: await readLog(scene), killTime, recovery, data }
}

const stepCount = 7
const checkout = join(import.meta.dirname, '..', '..')
const interruption = new AbortController()

/** Runs it all and cleans up; resolves to the exit status. */
async function main(installation: string): Promise<number> {
  const workplace = makeWorkplace(installation)
  const shell = openShell(workplace, interruption.signal)
  const progress = showProgress(stepCount, interruption.signal)
  const scene: Scene = { workplace, shell, progress, running: [] }
  let status = await play(scene)
  if (await stopAll(scene, 'immediate')) {
    await untilNothingRuns(workplace)
    removeAllButLogs(workplace)
    print('Nothing of it runs any more, and the data directories are removed. What stays:')
  } else {
    status = 1
  }
  print(`  every command that ran   ${workplace.folder}/commands.sh`)
  print(`  the servers' logs        ${workplace.folder}/logs`)
  return status
}

async function play(scene: Scene): Promise<number> {
  const start = performance.now()
  try {
    const outcome = await archiveAndRecover(scene)
    checkOutcome(outcome)
    await stopAll(scene, 'fast')
    print(describeOutcome(outcome, (performance.now() - start) / 1000))
    return 0
  } catch (error) {
    return reportFailure(error)
  }
}

/** The last one that was started first; whether all were stopped. Another call tries the rest again. */
async function stopAll({ running }: Scene, mode: StopMode): Promise<boolean> {
  for (const one of [...running].reverse()) {
    try {
      await one.stop(mode)
      running.splice(running.indexOf(one), 1)
    } catch (error) {
      log.error(error)
    }
  }
  return running.length === 0
}

function reportFailure(error: unknown): number {
  const { aborted, reason: signal } = interruption.signal
  if (!aborted) {
    log.error(error)
    return 1
  }
  print(`\nInterrupted by ${signal}.`)
  return 128 + constants.signals[signal as NodeJS.Signals]
}

function interrupt(signal: NodeJS.Signals): void {
  if (interruption.signal.aborted) return
  interruption.abort(signal)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
// Whoever read what is said has gone.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', () => interrupt('SIGPIPE'))

main(process.argv[2] ?? checkout).then(
  (status) => process.exit(status),
  (error) => {
    log.error(error)
    process.exit(1)
  },
)
