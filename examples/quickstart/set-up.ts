import type { Scene } from './scene.ts'
import { postgresServer, type SftpServer, sftpServer } from './servers.ts'

/** The machines of a very small fleet, each a folder here. */
export interface Machines {
  readonly berlin: SftpServer
  readonly madrid: SftpServer
}

/** Two SFTP servers, a scheduling database, and a primary that does not archive yet. */
export async function startMachines(scene: Scene): Promise<Machines> {
  const { workplace, shell, progress, running } = scene
  progress.step('Four servers: two for SFTP, a scheduling database, and a primary')
  shell.explain('Two SFTP servers, called berlin and madrid, and the key to log in with.')
  await shell.run("ssh-keygen -q -t ed25519 -N '' -C pgarch -f id_ed25519")
  const berlin = await sftpServer(shell, workplace.user, 'berlin', '127.0.0.2')
  const madrid = await sftpServer(shell, workplace.user, 'madrid', '127.0.0.3')
  shell.explain(
    'A scheduling database and a primary. They listen on sockets in this folder, where the port is\n' +
      'but a name; small segments and frequent checkpoints make many files out of little data.',
  )
  shell.export({ PGHOST: `${workplace.folder}/sockets`, PGDATABASE: 'postgres' })
  await initdb(scene, 'schedule', "port = 5401\nlisten_addresses = ''")
  await initdb(
    scene,
    'primary',
    "port = 5402\nlisten_addresses = ''\narchive_mode = on\nmax_wal_size = 16MB",
  )
  shell.explain("For the primary's host, which logs in to the scheduling database as pgarch_agent.")
  await shell.run(`cat >pgarch.toml <<END
[schedule]
url = "postgresql://pgarch_agent@/pgarch?host=$PWD/sockets&port=5401"
[ssh]
identity = "$PWD/id_ed25519"
END`)
  shell.export({
    PGARCH_CONFIG: `${workplace.folder}/pgarch.toml`,
    PGARCH_STATE_DIR: `${workplace.folder}/state`,
  })
  const schedule = postgresServer(shell, 'schedule')
  const primary = postgresServer(shell, 'primary')
  for (const server of [berlin, madrid, schedule, primary]) {
    running.push(server)
    await server.start()
  }
  return { berlin, madrid }
}

async function initdb({ shell }: Scene, name: string, settings: string): Promise<void> {
  await shell.run(`initdb --pgdata ${name} --auth trust --wal-segsize 1 --no-sync >>logs/initdb.log
cat >>${name}/postgresql.conf <<END
${settings}
unix_socket_directories = '$PWD/sockets'
END`)
}

/** The schema, and the paths. */
export async function setUpFleet(scene: Scene, { berlin, madrid }: Machines): Promise<void> {
  const { shell, progress } = scene
  progress.step('A DBA sets up the scheduling database, with the archive paths berlin and madrid')
  shell.explain('A DBA logs in to the scheduling database as somebody who may steer.')
  logInAsDba(scene)
  await shell.run('createdb -p 5401 pgarch')
  await shell.run('pgarch init')
  for (const [name, { address }] of Object.entries({ berlin, madrid })) {
    await shell.run(`pgarch path add ${name} --ssh ${address} --root "$PWD/${name}/archive" \\
  --host-key "$(cat ${name}/host_key.pub)"`)
  }
}

/** For the commands that follow; a server that is started must not inherit it. */
export function logInAsDba({ workplace, shell }: Scene): void {
  const url = `postgresql:///pgarch?host=${workplace.folder}/sockets&port=5401`
  shell.export({ PGARCH_SCHEDULE_URL: url })
}

/** From here on the primary archives. */
export async function registerPrimary({ shell, progress }: Scene): Promise<void> {
  progress.step('The primary becomes cluster "shop", which archives to berlin, or else to madrid')
  shell.explain('The primary becomes cluster "shop", which archives to berlin, or else to madrid.')
  await shell.run('pgarch register --name shop --pgdata "$PWD/primary" --apply')
  await shell.run('pgarch route set shop berlin --priority 20')
  await shell.run('pgarch route set shop madrid --priority 10')
}
