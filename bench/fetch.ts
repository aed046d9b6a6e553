import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../test/support/folder.ts'
import { startSshd } from '../test/support/sshd.ts'
import { archive, holdSegments, initialiseProduction } from './archiver.ts'
import { names, printFetchReport, type Round } from './fetch-report.ts'
import { describeMachine } from './measure.ts'
import { begin } from './options.ts'
import { pgbackrest } from './other-archivers.ts'
import { installPgarch } from './pgarch.ts'
import { type Polled, poll } from './polling.ts'
import { prefetchedFound } from './prefetched.ts'
import { oneWay, startProxy } from './proxy.ts'
import { type Recovered, recover } from './recovery.ts'
import type { Restorer } from './restored.ts'
import { copy, pgarchRestorer, pgbackrestRestorer } from './restorers.ts'
import { run as runProgram, startInitialised } from './servers.ts'

/** `npm run bench fetch`. Each round has everything once, so that what disturbs one disturbs all. */
export async function run(words: string[]): Promise<void> {
  const { folder, ...options } = begin(words, { rounds: 3, seconds: 20 })
  const sshd = await startSshd({ folder })
  const pgarch = await installPgarch(folder, sshd.identity)
  const initialised = await initialiseProduction(folder)
  const backup = join(folder, 'backup')
  runProgram('cp', ['-a', initialised.dataDirectory, backup])
  for (const file of readdirSync(join(backup, 'pg_wal'), { withFileTypes: true })) {
    if (file.isFile()) rmSync(join(backup, 'pg_wal', file.name))
  }
  const production = startInitialised(initialised, pgarch.environment)
  pgarch.register(production)
  const segments = await holdSegments(production, options.segments)
  console.log(`${segments.length} segments are held`)

  const copied = makeFolder(folder, 'copied')
  const held = segments.map((segment) => join(production.dataDirectory, 'pg_wal', segment))
  runProgram('cp', [...held, copied])
  const { command } = pgarch.contender('pgarch', 'local')
  pgarch.addPath('local')
  await pgarch.prefer('local')
  await archive(production, command, segments)
  // A scheduling database that knows of no other path: each is asked before WAL counts as absent.
  await pgarch.endWorker()
  await pgarch.schedule.query('create database pgarch_local template pgarch')
  pgarch.addPath('sftp', { server: sshd, port: sshd.port })
  await pgarch.prefer('sftp')
  await archive(production, command, segments)
  await pgarch.endWorker()
  const peer = pgbackrest(folder, production)
  if (peer !== undefined) await archive(production, peer.command, segments)

  const groups = { sshd: () => sshd.pid }
  const bySftp = (name: string, port: number, environment: Record<string, string> = {}) =>
    pgarchRestorer(pgarch, folder, name, {
      environment,
      groups,
      async prepare() {
        const address = `${sshd.user}@${sshd.host}:${port}`
        pgarch.admin('path', 'set', 'sftp', '--ssh', address, '--host-key', sshd.hostKey)
      },
    })
  const plain = copy(copied)
  const sftp = bySftp(names.sftp, sshd.port)
  const restorers: Restorer[] = [
    plain,
    sftp,
    pgarchRestorer(pgarch, folder, names.local, {
      environment: { PGARCH_SCHEDULE_URL: pgarch.schedule.url('pgarch_local', 'pgarch_agent') },
    }),
    ...(peer === undefined ? [] : [pgbackrestRestorer(peer, folder)]),
    bySftp(names.alone, sshd.port, { PGARCH_FETCH_PREFETCH: '0' }),
    bySftp(names.near, await startProxy(sshd, 0)),
    bySftp(names.far, await startProxy(sshd, oneWay)),
  ].filter(options.wants)
  const standbys = [plain, sftp].filter(options.wants)

  const rounds: Round[] = []
  for (let number = 1; number <= options.rounds; number++) {
    const recovered = new Map<string, Recovered>()
    for (const one of restorers) {
      const result = await recover(folder, backup, one, segments)
      recovered.set(one.name, result)
      const { seconds, segmentsPerSecond } = result
      console.log(
        `round ${number}: ${one.name}: ${seconds.toFixed(1)} s, ${segmentsPerSecond.toFixed(1)} segments/s`,
      )
    }
    const polled = new Map<string, Polled>()
    for (const one of standbys) {
      polled.set(one.name, await poll(folder, backup, one, segments, options.seconds))
    }
    const prefetched = await prefetchedFound(pgarch, production, segments[0] as string)
    const decoded = decodeOnOneCore(join(folder, 'path-local'))
    rounds.push({ recovered, polled, prefetched, decoded })
  }
  printFetchReport(rounds)
  console.log(describeMachine())
  process.exit()
}

/** Segments a second, of some that lie below the root. */
function decodeOnOneCore(root: string): number {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.zst'))
    .slice(0, 32)
    .map((file) => join(root, file))
  const program = join(import.meta.dirname, 'decoding.ts')
  return Number(execFileSync('taskset', ['-c', '0', process.execPath, program, ...files]))
}
