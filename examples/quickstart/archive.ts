import { readdirSync } from 'node:fs'
import type { Scene } from './scene.ts'
import type { SftpServer } from './servers.ts'

/** How many files each path is to take under load. */
const filesOnEachPath = 10

export async function takeBaseBackup(scene: Scene): Promise<void> {
  const { shell, progress } = scene
  progress.step('Some data, archived on berlin, and a base backup')
  await shell.run('pgbench -p 5402 --initialize --quiet')
  await untilArchived(scene, 'archived of the data')
  shell.explain('A base backup, without the WAL that it needs: that is in the archive.')
  await shell.run(
    'pg_basebackup -p 5402 --pgdata recovered --wal-method none --checkpoint fast --no-sync',
  )
}

/** Kills berlin in mid-run, and resolves to when that was, once all is archived. */
export async function archiveUnderLoad(scene: Scene, berlin: SftpServer): Promise<Date> {
  const { shell, progress, running } = scene
  progress.step('Load on the primary; berlin is killed in mid-run')
  shell.explain('Load on the primary, which archives segment after segment.')
  const load = shell.start(
    'pgbench -p 5402 --client 2 --rate 100 --time 300 --no-vacuum >logs/load.log 2>&1',
  )
  running.push(load)
  const onPath = async (name: string, goal: number) => {
    const before = await countCopies(scene, name)
    await progress.until(`archived on ${name}`, goal, async () => {
      load.check()
      return (await countCopies(scene, name)) - before
    })
  }
  await onPath('berlin', filesOnEachPath)
  shell.explain('The machine of berlin dies. Archiving goes on, on madrid.')
  const killTime = new Date()
  await berlin.kill()
  progress.note('berlin is dead')
  await onPath('madrid', filesOnEachPath)
  await load.stop('fast')

  shell.explain(
    "The last transaction: it waits for the load's. Then the end of its segment is written.",
  )
  await shell.run(`psql -p 5402 -c "begin; lock pgbench_history;
  create table last as select 'the last transaction' as what; commit"`)
  await shell.run('psql -p 5402 -Atc "select pg_switch_wal()"')
  await untilArchived(scene, 'archived of the rest')
  return killTime
}

/** Before a recovery: what was archived there is on no other path. */
export async function bringBack({ shell, progress }: Scene, berlin: SftpServer): Promise<void> {
  shell.explain('berlin is brought back: what was archived there is on no other path.')
  await berlin.start()
  progress.note('berlin is back, with what was archived there before')
}

async function countCopies({ shell }: Scene, path: string): Promise<number> {
  const sql = `select count(*) from pgarch.arch_copy c
    join pgarch.arch_path_info p on p.id = c.path_id where p.name = '${path}'`
  return Number(await shell.look(`psql -p 5401 -d pgarch -Atc "${sql}"`))
}

/** Waits for all that the archiver has before it now. */
async function untilArchived({ progress }: Scene, what: string): Promise<void> {
  const last = filesReady().at(-1) ?? ''
  const countWaiting = () => filesReady().filter((name) => name <= last).length
  const goal = countWaiting()
  await progress.until(what, goal, async () => goal - countWaiting())
}

/** What waits to be archived, in order. */
function filesReady(): string[] {
  const names = readdirSync('primary/pg_wal/archive_status')
  return names.filter((name) => name.endsWith('.ready')).sort()
}
