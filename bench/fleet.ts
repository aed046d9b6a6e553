import { spawnSync } from 'node:child_process'
import { cpSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../scripts/build.ts'
import { makeFolder, temporaryFolder } from '../test/support/folder.ts'
import { checkout, installLauncher, makeReadable } from '../test/support/installation.ts'
import { asUnprivileged } from '../test/support/unprivileged.ts'
import {
  type Cluster,
  timeLocates,
  timeRecords,
  timeRoutes,
  timeTogether,
  turns,
} from './fleet-calls.ts'
import {
  diskInWords,
  type Figures,
  latencyInWords,
  printFigures,
  runsInWords,
  togetherInWords,
} from './fleet-report.ts'
import { clusters as clusterCount, makeFiles, makeFleet } from './fleet-rows.ts'
import { makeSums, measureDisk } from './fleet-sums.ts'
import { cpuSince, cpuTimes, describeMachine } from './measure.ts'
import { startPooler } from './pooler.ts'
import { run as runProgram, type Server, startServer } from './servers.ts'

/** What a fleet's files take at most, each in a file's, a copy's and the log's row with their indexes. */
const bytesPerFile = 1100

/** Of the free disk, for what it takes to make them. */
const spareBytes = 8 * 1024 ** 3

/** Commands of an administrator, as whole processes. They exit with 1 or 2 when they found something. */
const commands: Readonly<Record<string, readonly string[]>> = {
  'pgarch --version': ['--version'],
  'check of one cluster': ['check', '--cluster', 'cluster-5000'],
  'check of the fleet': ['check', '--fleet'],
  'status of one cluster': ['status', 'cluster-5000', '--json'],
  'status of the fleet': ['status', '--json'],
  'report of 7 days': ['report'],
  'report of 30 days': ['report', '--since', '30d', '--format', 'json'],
}

/** Of each command. */
const runs = 5

/** `npm run bench fleet`. A figure for each size, one below the other. */
export async function run(words: string[]): Promise<void> {
  const { values } = parseArgs({
    args: words,
    options: {
      rows: { type: 'string', default: '1m,10m,50m' },
      agents: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '30' },
      calls: { type: 'string', default: '500' },
    },
  })
  const sizes = values.rows.split(',').map(readCount)
  const agents = Number(values.agents)
  const { path: folder } = temporaryFolder('bench')
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  console.log(describeMachine())

  const server = await startServer(folder, 'schedule', settings(agents))
  const pgarch = await install(folder, server)
  await makeFleet(server)
  const pooler = await startPooler(folder, server)
  const now = new Date()
  const all: Figures[] = []
  let made = 0
  for (const size of sizes) {
    requireRoom(folder, size - made)
    await server.configure({ fsync: 'off', full_page_writes: 'off', autovacuum: 'off' })
    await timeStep(`making ${size - made} files`, () =>
      makeFiles(server, { from: made, to: size, most: Math.max(...sizes), now }),
    )
    made = size
    await timeStep('sums and statistics', () => makeSums(server))
    await server.configure({ fsync: 'on', full_page_writes: 'on', autovacuum: 'on' })
    await timeStep('a checkpoint', () => server.query('checkpoint'))
    const seconds = Number(values.seconds)
    all.push(
      await measure(server, pooler, pgarch, size, { agents, seconds, calls: Number(values.calls) }),
    )
  }
  printFigures(all)
  process.exit()
}

async function measure(
  server: Server,
  pooler: Server | undefined,
  pgarch: (words: readonly string[]) => void,
  size: number,
  { agents, seconds, calls }: { agents: number; seconds: number; calls: number },
): Promise<Figures> {
  console.log(`\n${size} files; ${describeMachine()}`)
  const figures = new Map<string, string>()
  const note = (name: string, figure: string) => {
    figures.set(name, figure)
    console.log(`  ${name.padEnd(50)} ${figure}`)
  }
  for (const disk of await measureDisk(server)) note(disk.name, diskInWords(disk, size))
  const clusters = await server.query<Cluster>(
    `select c.db_id as fingerprint, c.member_id as "memberId", c.path_id as "pathId"
     from public.bench_cluster c join pgarch.arch_db_info d on d.id = c.db_id
     join pgarch.arch_path_info p on p.id = c.path_id
     where d.switch = 'start' and p.lost_time is null order by c.number`,
    'pgarch',
  )
  const filesPerCluster = Math.floor(size / clusterCount)
  note('route', latencyInWords(await timeRoutes(server, clusters, calls)))
  note('locate', latencyInWords(await timeLocates(server, clusters, filesPerCluster, calls)))
  note('record, 1 file', latencyInWords(await timeRecords(server, clusters, 1, calls)))
  const few = Math.ceil(calls / 10)
  note('record, 100 files', latencyInWords(await timeRecords(server, clusters, 100, few)))
  const every = Math.floor(clusters.length / agents)
  const some = clusters.filter((_, index) => index % every === 0).slice(0, agents)
  for (const turn of Object.keys(turns) as (keyof typeof turns)[]) {
    const through = turn.endsWith('PgBouncer') ? pooler : server
    if (through === undefined) continue
    const together = await timeTogether(through, some, turn, seconds)
    note(`${agents} at once: ${turn}`, togetherInWords(together))
  }
  for (const [name, words] of Object.entries(commands)) {
    const groups = { server: () => server.pid, bench: () => process.pid }
    const before = cpuTimes(groups)
    const times = Array.from({ length: runs }, () => {
      const start = performance.now()
      pgarch(words)
      return performance.now() - start
    })
    const used = cpuSince(before, cpuTimes(groups))
    note(name, runsInWords(times, used))
  }
  console.log(`  ${describeMachine()}`)
  return { size, figures }
}

/** What a scheduling database of this size would be given on a machine of 24 GB. */
function settings(agents: number): Readonly<Record<string, string>> {
  return {
    // Those that are being closed count, too.
    max_connections: String(2 * agents + 20),
    shared_buffers: '4GB',
    effective_cache_size: '12GB',
    maintenance_work_mem: '1GB',
    work_mem: '64MB',
    max_wal_size: '8GB',
    checkpoint_timeout: '15min',
    // Making and indexing the rows writes far less WAL; what is measured writes the same.
    wal_level: 'minimal',
    max_wal_senders: '0',
  }
}

/** Resolves to what runs a command as an administrator. */
async function install(
  folder: string,
  server: Server,
): Promise<(words: readonly string[]) => void> {
  const root = makeFolder(folder, 'pgarch')
  installLauncher(root)
  for (const part of ['package.json', 'sql']) {
    cpSync(join(checkout, part), join(root, part), { recursive: true })
  }
  await build(join(root, 'dist'))
  makeReadable(root)
  const launcher = join(root, 'bin', 'pgarch')
  await server.query('create database pgarch')
  const environment = { HOME: folder, PGARCH_SCHEDULE_URL: server.url('pgarch') }
  runProgram(launcher, ['init'], environment)
  return (words) => {
    const { status, stderr } = spawnSync(launcher, words, {
      cwd: '/',
      env: { PATH: process.env.PATH, LC_ALL: 'C', ...environment },
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
      ...asUnprivileged(),
    })
    if (status === null || status > 2) throw new Error(`${words.join(' ')}: ${status}\n${stderr}`)
  }
}

/** `1m`, `10k`, or a number alone. */
function readCount(text: string): number {
  const match = /^(\d+)([km]?)$/.exec(text)
  if (match === null) throw new Error(`"${text}" is not a number of files, such as 500k or 10m`)
  return Number(match[1]) * ({ k: 1000, m: 1_000_000 }[match[2] ?? ''] ?? 1)
}

function requireRoom(folder: string, files: number): void {
  const { bavail, bsize } = statfsSync(folder)
  const wanted = files * bytesPerFile + spareBytes
  if (bavail * bsize >= wanted) return
  throw new Error(`${Math.ceil(wanted / 1024 ** 3)} GB must be free below ${folder}`)
}

async function timeStep(name: string, step: () => Promise<unknown>): Promise<void> {
  const start = performance.now()
  await step()
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
}
