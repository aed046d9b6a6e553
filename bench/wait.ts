import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, ownByUnprivileged } from '../test/support/folder.ts'
import { startSshd } from '../test/support/sshd.ts'
import { asUnprivileged } from '../test/support/unprivileged.ts'
import { holdSegments, initialiseProduction } from './archiver.ts'
import {
  cpuSince,
  cpuTimes,
  describeMachine,
  median,
  residentMemory,
  withSpread,
} from './measure.ts'
import { begin } from './options.ts'
import { installPgarch } from './pgarch.ts'
import { runBeside, type Server, startInitialised } from './servers.ts'

/** One that waits for a segment, as PostgreSQL calls it. */
interface Waiter {
  readonly name: string
  readonly command: (segment: string) => string
  /** Archives the segment, and resolves to when it was archived: milliseconds since the epoch. */
  readonly archive: (segment: string) => Promise<number>
}

/** Until both wait, and then at most one turn of the poll, so that it is met at any of its moments. */
const settle = 2000
const pollSeconds = 5

/** `npm run bench wait`. Both wait for the same segment at the same time. */
export async function run(words: string[]): Promise<void> {
  const { folder, ...options } = begin(words, { rounds: 20, seconds: 60 })
  process.on('exit', () => {
    for (const { pid = Number.NaN } of calls) process.kill(-pid, 'SIGKILL')
  })
  const sshd = await startSshd({ folder })
  const pgarch = await installPgarch(folder, sshd.identity)
  const production = startInitialised(await initialiseProduction(folder), pgarch.environment)
  pgarch.register(production)
  pgarch.addPath('sftp', { server: sshd, port: sshd.port })
  await pgarch.prefer('sftp')
  const segments = await holdSegments(production, options.rounds + 1)
  const copied = makeFolder(folder, 'copied')
  const environment = { ...pgarch.environment, PGARCH_PUSH_WORKER: 'off' }

  const all: readonly Waiter[] = [
    {
      name: 'pgarch fetch --wait, SFTP',
      command: (segment) => `${pgarch.launcher} fetch ${segment} pg_wal/RECOVERYXLOG --wait`,
      async archive(segment) {
        await runBeside(
          'sh',
          ['-c', `cd "$1" && "$2" push "pg_wal/$3" "$3"`, 'sh'].concat(
            production.dataDirectory,
            pgarch.launcher,
            segment,
          ),
          environment,
        )
        const [row] = await pgarch.schedule.query<{ time: Date }>(
          `select create_time as time from pgarch.arch_copy where wal_name = '${segment}'`,
          'pgarch',
        )
        return row?.time.getTime() ?? Number.NaN
      },
    },
    {
      name: `test and cp every ${pollSeconds} s`,
      command: (segment) => {
        const file = join(copied, segment)
        return `until [ -e ${file} ]; do sleep ${pollSeconds}; done; cp ${file} pg_wal/RECOVERYXLOG`
      },
      async archive(segment) {
        const file = join(copied, segment)
        const source = join(production.dataDirectory, 'pg_wal', segment)
        await runBeside('sh', ['-c', 'cp "$1" "$2.tmp" && mv "$2.tmp" "$2"', 'sh', source, file])
        return Date.now()
      },
    },
  ]
  const waiters = all.filter(options.wants)

  const latencies = new Map<string, number[]>(waiters.map(({ name }) => [name, []]))
  const [last = '', ...rest] = segments.toReversed()
  for (const segment of rest) {
    const waiting = waiters.map((one) => {
      const directory = makeReceiver(folder, production)
      return { ...one, call: start(directory, one.command(segment), environment) }
    })
    await sleep(settle + Math.random() * pollSeconds * 1000)
    // One after the other, so that neither works while the other is looked at.
    for (const { name, call, archive } of waiting) {
      const placed = once(call, 'exit').then(() => Date.now())
      const archived = await archive(segment)
      latencies.get(name)?.push((await placed) - archived)
      if (call.exitCode !== 0) throw new Error(`"${name}" ended with ${call.exitCode}`)
    }
  }
  console.log('\nFrom archived to placed, in ms')
  for (const [name, values] of latencies)
    console.log(`  ${name.padEnd(28)} ${withSpread(values, 0)}`)
  const [ours = Number.NaN, polled = Number.NaN] = [...latencies.values()].map(median)
  console.log(`  goal: 100 ms; ${(ours / polled).toFixed(3)} of the poll's`)

  console.log(`\nWaiting: CPU in s an hour, from ${options.seconds} s, and memory in MB`)
  for (const { name, command } of waiters) {
    const call = start(makeReceiver(folder, production), command(last), environment)
    const groups = {
      call: () => call.pid,
      'scheduling database': () => pgarch.schedule.pid,
      sshd: () => sshd.pid,
    }
    await sleep(settle)
    const before = cpuTimes(groups)
    await sleep(options.seconds * 1000)
    const used = cpuSince(before, cpuTimes(groups))
    const hourly = (group: keyof typeof groups) =>
      (((used[group] ?? 0) / 1000 / options.seconds) * 3600).toFixed(1)
    console.log(
      `  ${name.padEnd(28)} ${hourly('call')} s, ${residentMemory(call.pid)} MB; ` +
        `scheduling database ${hourly('scheduling database')} s, sshd ${hourly('sshd')} s`,
    )
    process.kill(-(call.pid ?? Number.NaN), 'SIGTERM')
    await once(call, 'exit')
  }
  console.log(describeMachine())
  process.exit()
}

let receivers = 0
const calls = new Set<ChildProcess>()

/** What fetch needs of a data directory in archive recovery, and no server. */
function makeReceiver(folder: string, production: Server): string {
  const directory = makeFolder(folder, `receiver-${++receivers}`)
  for (const part of ['PG_VERSION', 'global/pg_control']) {
    cpSync(join(production.dataDirectory, part), join(directory, part))
  }
  mkdirSync(join(directory, 'pg_wal'), { recursive: true })
  writeFileSync(join(directory, 'recovery.signal'), '')
  for (const part of ['', 'PG_VERSION', 'global', 'global/pg_control', 'pg_wal']) {
    ownByUnprivileged(join(directory, part))
  }
  return directory
}

function start(directory: string, command: string, environment: NodeJS.ProcessEnv): ChildProcess {
  const call = spawn('/bin/sh', ['-c', command], {
    cwd: directory,
    detached: true,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
    ...asUnprivileged(),
  })
  calls.add(call)
  call.once('exit', () => calls.delete(call))
  return call
}
