import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, ownByUnprivileged } from './folder.ts'
import { asUnprivileged, unprivileged } from './unprivileged.ts'

/** A real OpenSSH server with SFTP, run by the unprivileged user, who is also the one to log in. */
export interface Sshd {
  readonly host: string
  readonly port: number
  readonly user: string
  /** As in known_hosts: `ssh-ed25519 AAAA..`. */
  hostKey: string
  /** Of the listener; undefined when it does not run. */
  readonly pid: number | undefined
  /** Private key file, readable by the unprivileged user; one for all servers of a folder. */
  readonly identity: string
  /** Ends the server and its sessions; nothing of it runs any more when this resolves. */
  stop(): Promise<void>
  /** The machine dies: SIGKILL to the listener and all its sessions, at once. */
  kill(): void
  /** SIGKILL to its sessions alone; new ones can be had at once. */
  killSessions(): void
  /** The network is cut, or the machine hangs: nothing answers until `thaw`. */
  freeze(): void
  thaw(): void
  /** Stops it if it runs, and starts it on the same port, if wanted with another host key. */
  restart(options?: { newHostKey?: boolean }): Promise<void>
}

const running = new Set<number>()
// Servers end with the process that runs the test file, whatever became of its afterAll.
process.on('exit', () => {
  for (const pid of running) killTree(pid)
})

/**
 * Keys, configuration and log lie in a new folder below `folder`, which the caller removes. `without`
 * names SFTP requests that the server does not offer, as for sftp-server's -P.
 */
export async function startSshd(options: {
  folder: string
  address?: string
  without?: string
  /** The same machine at another address: with its port and its host key. */
  like?: Sshd
}): Promise<Sshd> {
  const { without, like, address: host = '127.0.0.1' } = options
  const port = like?.port ?? (await freePort(host))
  const folder = makeFolder(options.folder, `sshd-${host}-${port}`)
  const hostKeyFile = join(folder, 'host_key')
  if (like !== undefined) copyHostKey(join(options.folder, `sshd-${like.host}-${port}`), folder)
  const identity = join(options.folder, 'identity')
  if (!existsSync(identity)) makeKey(identity)
  let listener: ChildProcess | undefined

  async function start(): Promise<void> {
    if (!existsSync(hostKeyFile)) makeKey(hostKeyFile)
    server.hostKey = publicKey(hostKeyFile)
    const config = join(folder, 'sshd_config')
    writeFileSync(config, configuration({ host, port, hostKeyFile, identity, without }))
    ownByUnprivileged(config)
    // setpriv: the listener dies with us even when we are killed.
    const command = ['--pdeathsig', 'KILL', '/usr/sbin/sshd', '-D', '-f', config]
    const child = spawn('setpriv', [...command, '-E', join(folder, 'log')], {
      ...asUnprivileged(),
      cwd: folder,
      stdio: 'ignore',
    })
    await once(child, 'spawn')
    listener = child
    running.add(child.pid as number)
    child.once('exit', () => running.delete(child.pid as number))
    await untilAnswering(child, host, port, join(folder, 'log'))
  }

  const server: Sshd = {
    host,
    port,
    user: unprivileged.name,
    hostKey: '',
    get pid() {
      return listener === undefined || hasEnded(listener) ? undefined : listener.pid
    },
    identity,
    kill() {
      if (listener?.pid === undefined || !running.delete(listener.pid)) return
      killTree(listener.pid)
    },
    killSessions() {
      for (const pid of tree(listener?.pid).slice(1)) signal(pid, 'SIGKILL')
    },
    async stop() {
      const ended =
        listener === undefined || hasEnded(listener) ? undefined : once(listener, 'exit')
      server.kill()
      await ended
    },
    freeze() {
      for (const pid of tree(listener?.pid)) signal(pid, 'SIGSTOP')
    },
    thaw() {
      for (const pid of tree(listener?.pid)) signal(pid, 'SIGCONT')
    },
    async restart({ newHostKey = false } = {}) {
      await server.stop()
      if (newHostKey) rmSync(hostKeyFile)
      await start()
    },
  }
  await start()
  return server
}

function configuration(of: {
  host: string
  port: number
  hostKeyFile: string
  identity: string
  without: string | undefined
}) {
  return `ListenAddress ${of.host}:${of.port}
HostKey ${of.hostKeyFile}
AuthorizedKeysFile ${of.identity}.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile none
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp${of.without === undefined ? '' : ` -P ${of.without}`}
`
}

function makeKey(file: string): void {
  rmSync(`${file}.pub`, { force: true })
  const command = ['-q', '-t', 'ed25519', '-N', '', '-C', 'pgarch test', '-f', file]
  execFileSync('ssh-keygen', command, { ...asUnprivileged(), stdio: 'inherit' })
}

function copyHostKey(from: string, to: string): void {
  for (const file of ['host_key', 'host_key.pub']) {
    copyFileSync(join(from, file), join(to, file))
    ownByUnprivileged(join(to, file))
  }
}

function publicKey(file: string): string {
  return readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')
}

/** A port that nobody listens on at this address now. */
async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function untilAnswering(child: ChildProcess, host: string, port: number, logFile: string) {
  for (let tries = 0; tries < 400; tries++) {
    if (hasEnded(child)) break
    if (await answers(host, port)) return
    await sleep(25)
  }
  const said = existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''
  throw new Error(`sshd does not answer on ${host}:${port}: ${said}`)
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('data', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    socket.once('data', () => socket.destroy())
  })
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** The listener is stopped first, so that no session is born while the others are looked up. */
function killTree(listener: number): void {
  signal(listener, 'SIGSTOP')
  for (const pid of tree(listener)) signal(pid, 'SIGKILL')
}

/** A process and its descendants, by the parents that /proc shows (proc(5), /proc/PID/stat). */
function tree(root: number | undefined): number[] {
  if (root === undefined) return []
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const parent = parentOf(Number(entry))
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const found = [root]
  for (const pid of found) found.push(...(children.get(pid) ?? []))
  return found
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
