import { readFileSync } from 'node:fs'
import { isSegment, readLog, type Scene } from './scene.ts'
import { postgresServer } from './servers.ts'
import { logInAsDba } from './set-up.ts'

export interface Recovery {
  readonly segments: number
  readonly seconds: number
}

/** Starts the base backup as a server that fetches its WAL from the archive, and waits for the end. */
export async function recover(scene: Scene): Promise<Recovery> {
  const { shell, progress, running } = scene
  progress.step('A second server recovers from the base backup and the archive')
  const segments = await countSegmentsSince(scene, backupStart())
  shell.explain(
    'A second server, from the base backup and the archive. register has set restore_command in the\n' +
      'primary, so it is in the backup. That server is a copy: it must not archive into its origin.',
  )
  shell.export({ PGARCH_SCHEDULE_URL: undefined })
  await shell.run(`cat >>recovered/postgresql.conf <<END
port = 5403
archive_mode = off
END
touch recovered/recovery.signal`)
  const server = postgresServer(shell, 'recovered')
  running.push(server)
  const start = performance.now()
  await server.start()
  await progress.until('segments restored', segments, async () => {
    const answer = await shell.look('psql -p 5403 -Atc "select pg_is_in_recovery()"')
    return answer.trim() === 'f' ? segments : Math.min(countRestored(), segments - 1)
  })
  return { segments: countRestored(), seconds: (performance.now() - start) / 1000 }
}

/** The first segment that the backup needs (manual, section 26.3: backup_label). */
function backupStart(): string {
  const label = readFileSync('recovered/backup_label', 'utf8')
  return /START WAL LOCATION: \S+ \(file (\w+)\)/.exec(label)?.[1] ?? ''
}

async function countSegmentsSince(scene: Scene, first: string): Promise<number> {
  const names = (await readLog(scene)).filter(({ stored }) => stored).map(({ walName }) => walName)
  return names.filter((name) => isSegment(name) && name >= first).length
}

/** PostgreSQL asks for the last one twice. */
function countRestored(): number {
  const log = readFileSync('logs/recovered.log', 'utf8')
  const names = log.match(/(?<=restored log file ")[0-9A-F]{24}(?=")/g)
  return new Set(names).size
}

/** Both servers' answers, as lines `table|rows|checksum`. */
export async function compare(scene: Scene): Promise<{ primary: string[]; recovered: string[] }> {
  const { shell, progress } = scene
  progress.step("The two servers' data are compared")
  shell.explain('Both servers must hold the same data.')
  const tables = ['accounts', 'branches', 'history', 'tellers'].map((name) => `pgbench_${name}`)
  const queries = [...tables, 'last'].map(
    (table) =>
      `select '${table}', count(*), md5(string_agg(t::text, ';' order by t::text)) from ${table} t`,
  )
  await shell.run(`cat >compare.sql <<END\n${queries.join('\nunion all ')}\norder by 1;\nEND`)
  const ask = (port: number) => shell.run(`psql -p ${port} -Atf compare.sql`)
  const primary = await ask(5402)
  const recovered = await ask(5403)
  return { primary: primary.split('\n'), recovered: recovered.split('\n') }
}

/** What pgarch tells of it afterwards. */
export async function lookAsDba(scene: Scene): Promise<void> {
  const { shell } = scene
  shell.explain('What the DBA sees of all this.')
  logInAsDba(scene)
  await shell.run('pgarch status shop')
  await shell.run('pgarch log shop --limit 10')
}
