import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder } from '../test/support/folder.ts'
import { findProgram } from '../test/support/parts.ts'
import { asUnprivileged } from '../test/support/unprivileged.ts'
import { freePort, type Server } from './servers.ts'

/** The server's connections that hosts share. */
const shared = 20

/**
 * The same server through PgBouncer with a pool for transactions, as docs/scale.md describes it; undefined
 * where it is not installed. It ends with this process.
 */
export async function startPooler(folder: string, server: Server): Promise<Server | undefined> {
  const program = findProgram('pgbouncer')
  if (program === undefined) return undefined
  const own = makeFolder(folder, 'pooler')
  const port = await freePort()
  writeFileSync(join(own, 'users'), '"pgarch_agent" ""\n')
  writeFileSync(
    join(own, 'pgbouncer.ini'),
    `[databases]
     pgarch = host=127.0.0.1 port=${server.port} dbname=pgarch
     [pgbouncer]
     listen_addr = 127.0.0.1
     listen_port = ${port}
     unix_socket_dir =
     auth_type = trust
     auth_file = ${join(own, 'users')}
     pool_mode = transaction
     default_pool_size = ${shared}
     max_client_conn = 10000
     ignore_startup_parameters = statement_timeout
    `.replaceAll(/^ +/gm, ''),
  )
  const pooler = spawn(program, ['-q', join(own, 'pgbouncer.ini')], {
    cwd: own,
    stdio: ['ignore', 'ignore', 'inherit'],
    ...asUnprivileged(),
  })
  process.prependListener('exit', () => pooler.kill('SIGKILL'))
  while (!(await answers(port))) {
    if (pooler.exitCode !== null) throw new Error('pgbouncer ended while it started')
    await sleep(20)
  }
  return {
    ...server,
    url: (database, user) => server.url(database, user).replace(`:${server.port}/`, `:${port}/`),
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
