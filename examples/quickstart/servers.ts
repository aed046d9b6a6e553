import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PgarchError } from '../../src/errors.ts'
import type { Running, Shell } from './commands.ts'

export interface Server extends Running {
  start(): Promise<void>
}

/** A PostgreSQL server on an existing data directory of that name, told apart by its port. */
export function postgresServer(shell: Shell, name: string): Server {
  return {
    async start() {
      await shell.run(`pg_ctl start --pgdata ${name} --log logs/${name}.log --silent`)
    },
    async stop(mode) {
      if (!existsSync(join(name, 'postmaster.pid'))) return
      await shell.runAnyway(`pg_ctl stop --pgdata ${name} --mode ${mode} --silent`)
    },
  }
}

/** An OpenSSH server that offers SFTP on a loopback address, to whoever has the key. */
export interface SftpServer extends Server {
  /** `USER@HOST:PORT` */
  readonly address: string
  /** The machine dies. */
  kill(): Promise<void>
}

/** Makes its host key, its configuration and an empty archive, in a folder of that name. */
export async function sftpServer(
  shell: Shell,
  user: string,
  name: string,
  host: string,
): Promise<SftpServer> {
  const port = await freePort(host)
  const pidFile = `${name}/sshd.pid`
  await shell.run(`mkdir -p ${name}/archive
ssh-keygen -q -t ed25519 -N '' -C ${name} -f ${name}/host_key
cat >${name}/sshd_config <<END
ListenAddress ${host}:${port}
HostKey $PWD/${name}/host_key
AuthorizedKeysFile $PWD/id_ed25519.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile $PWD/${pidFile}
Subsystem sftp internal-sftp
END`)

  /** With its sessions, which would serve their clients on: each has a process group of its own. */
  async function kill(): Promise<void> {
    await shell.runAnyway(`sshd=$(cat ${pidFile})
kill -STOP "$sshd"
for session in $(cat "/proc/$sshd/task/$sshd/children"); do
  kill -KILL "$session" "-$session" 2>/dev/null
done
kill -KILL "$sshd"`)
    rmSync(pidFile)
  }

  return {
    address: `${user}@${host}:${port}`,
    async start() {
      await shell.run(`/usr/sbin/sshd -f "$PWD/${name}/sshd_config" -E "$PWD/logs/${name}.log"`)
      await waitFor(`sshd listens on ${host}:${port}`, () => existsSync(pidFile))
    },
    async stop() {
      if (!existsSync(pidFile)) return
      await shell.runAnyway(`kill "$(cat ${pidFile})"`)
      await waitFor(`sshd on ${host} ends`, () => !existsSync(pidFile))
    },
    kill,
  }
}

/** Below the kernel's ephemeral ports, so that no outgoing connection takes it in the meantime. */
async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer().listen(port, host)
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}

export async function waitFor(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (holds()) return
    await sleep(25)
  }
  throw new PgarchError('unusable', `waited in vain until ${what}`)
}
