import { join } from 'node:path'
import { startSshd } from '../test/support/sshd.ts'
import {
  type Contender,
  type Drained,
  drain,
  holdSegments,
  initialiseProduction,
} from './archiver.ts'
import { choosing } from './choosing.ts'
import { markerFound } from './marker.ts'
import { describeMachine } from './measure.ts'
import { begin } from './options.ts'
import { copyAndSync, nothing, pgbackrest, secureCopy } from './other-archivers.ts'
import { installPgarch } from './pgarch.ts'
import { oneWay, startProxy } from './proxy.ts'
import { printReport, type Round, readyFiles } from './push-report.ts'
import { startInitialised } from './servers.ts'
import { type Steady, steadyLoad } from './steady.ts'

/** `npm run bench push`. Each round has everything once, so that what disturbs one disturbs all. */
export async function run(words: string[]): Promise<void> {
  const { folder, ...options } = begin(words, { rounds: 5, seconds: 15 })
  const sshd = await startSshd({ folder })
  const pgarch = await installPgarch(folder, sshd.identity)
  const production = startInitialised(await initialiseProduction(folder), pgarch.environment)
  pgarch.register(production)
  const network = { sshd: () => sshd.pid }
  pgarch.addPath('local')
  pgarch.addPath('sftp', { server: sshd, port: sshd.port })
  pgarch.addPath('near', { server: sshd, port: await startProxy(sshd, 0) })
  pgarch.addPath('far', { server: sshd, port: await startProxy(sshd, oneWay) })
  const segments = await holdSegments(production, options.segments)
  console.log(`${segments.length} segments are held`)

  const local = pgarch.contender('pgarch, local', 'local')
  const peer = pgbackrest(folder, production)
  const drains: Contender[] = [
    nothing,
    copyAndSync(folder),
    local,
    ...(peer === undefined ? [] : [peer]),
    secureCopy(folder, sshd, sshd.identity, network),
    pgarch.contender('pgarch, SFTP', 'sftp', network),
    ...(pgarch.native === undefined
      ? []
      : [pgarch.native('pgarch, SFTP, native crypto', 'sftp', network)]),
    pgarch.contender('pgarch, SFTP by a proxy, 0 ms', 'near', network),
    pgarch.contender('pgarch, SFTP by a proxy, 50 ms', 'far', network),
  ].filter(options.wants)
  const loads = [nothing, local, ...(peer === undefined ? [] : [peer])].filter(options.wants)

  const rounds: Round[] = []
  for (let number = 1; number <= options.rounds; number++) {
    const drained = new Map<string, Drained>()
    for (const one of drains) {
      const result = await drain(production, one, segments)
      drained.set(one.name, result)
      console.log(`round ${number}: ${one.name}: ${result.segmentsPerSecond.toFixed(1)} segments/s`)
    }
    const steady = new Map<string, Steady>()
    for (const one of loads) {
      const load = await steadyLoad(production, one, segments[0] as string, options.seconds)
      steady.set(one.name, load)
    }
    const marker = await markerFound(pgarch, production, folder, segments[0] as string)
    const few = await choosing(join(folder), readyFiles.few)
    const many = await choosing(folder, readyFiles.many)
    rounds.push({ drained, steady, marker, choosing: { few, many } })
  }
  printReport(rounds, pgarch.memory)
  console.log(describeMachine())
  process.exit()
}
