import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { temporaryFolder } from '../test/support/folder.ts'
import { type Sshd, startSshd } from '../test/support/sshd.ts'
import { type Contender, type Drained, drain, holdSegments, startProduction } from './archiver.ts'
import { choosing } from './choosing.ts'
import { markerFound } from './marker.ts'
import { describeMachine } from './measure.ts'
import { copyAndSync, nothing, pgbackrest, secureCopy } from './other-archivers.ts'
import { installPgarch } from './pgarch.ts'
import { printReport, type Round, readyFiles } from './push-report.ts'
import { type Steady, steadyLoad } from './steady.ts'

/** A network of 50 ms there and back. */
const oneWay = 25

/** `npm run bench push`. Each round has everything once, so that what disturbs one disturbs all. */
export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      rounds: { type: 'string', default: '5' },
      segments: { type: 'string', default: '128' },
      seconds: { type: 'string', default: '15' },
      only: { type: 'string', multiple: true },
    },
  })
  const { path: folder } = temporaryFolder('bench')
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  console.log(describeMachine())

  const sshd = await startSshd({ folder })
  const pgarch = await installPgarch(folder, sshd.identity)
  const production = await startProduction(folder, pgarch.environment)
  pgarch.register(production)
  const network = { sshd: () => sshd.pid }
  pgarch.addPath('local')
  pgarch.addPath('sftp', { server: sshd, port: sshd.port })
  pgarch.addPath('near', { server: sshd, port: await startProxy(sshd, 0) })
  pgarch.addPath('far', { server: sshd, port: await startProxy(sshd, oneWay) })
  const segments = await holdSegments(production, Number(values.segments))
  console.log(`${segments.length} segments are held`)

  const local = pgarch.contender('pgarch, local', 'local')
  const peer = pgbackrest(folder, production)
  const wanted = ({ name }: Contender) => values.only === undefined || values.only.includes(name)
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
  ].filter(wanted)
  const loads = [nothing, local, ...(peer === undefined ? [] : [peer])].filter(wanted)

  const rounds: Round[] = []
  for (let number = 1; number <= Number(values.rounds); number++) {
    const drained = new Map<string, Drained>()
    for (const one of drains) {
      const result = await drain(production, one, segments)
      drained.set(one.name, result)
      console.log(`round ${number}: ${one.name}: ${result.segmentsPerSecond.toFixed(1)} segments/s`)
    }
    const steady = new Map<string, Steady>()
    for (const one of loads) {
      const load = await steadyLoad(production, one, segments[0] as string, Number(values.seconds))
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

/** Resolves to its port. It ends with this process. */
async function startProxy(sshd: Sshd, milliseconds: number): Promise<number> {
  const program = join(import.meta.dirname, 'delaying-proxy.ts')
  const words = [program, sshd.host, String(sshd.port), String(milliseconds)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const [port] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  return Number(port)
}
