import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from '../scripts/build.ts'
import { makeFolder } from '../test/support/folder.ts'
import { checkout, installLauncher, makeReadable } from '../test/support/installation.ts'
import type { Sshd } from '../test/support/sshd.ts'
import type { Contender } from './archiver.ts'
import { peakMemory } from './measure.ts'
import { run, type Server, startServer } from './servers.ts'

/** pgarch as it is installed, with a scheduling database. */
export interface Pgarch {
  readonly launcher: string
  /** What the production server needs in its environment. */
  readonly environment: Readonly<Record<string, string>>
  /** Makes the server a cluster. */
  register(server: Server): void
  addPath(name: string, sshd?: { readonly server: Sshd; readonly port: number }): void
  /** As an administrator. */
  admin(...words: string[]): void
  readonly schedule: Server
  /** Ends the worker, and forgets what it has archived. */
  endWorker(): Promise<void>
  /** Ends the worker, too, and lets the path be the first one. */
  prefer(path: string): Promise<void>
  /** Archives to the path, with all of the worker's settings at their defaults. */
  contender(name: string, path: string, more?: Contender['groups']): Contender
  /** The same from another installation, which has ssh2's native add-on; undefined where npm built none. */
  readonly native: Pgarch['contender'] | undefined
  /** Of the worker, after each drain over a path, in MB. */
  readonly memory: Map<string, number[]>
}

export async function installPgarch(folder: string, identity: string): Promise<Pgarch> {
  const root = makeFolder(folder, 'pgarch')
  installLauncher(root)
  for (const part of ['package.json', 'sql']) {
    cpSync(join(checkout, part), join(root, part), { recursive: true })
  }
  await build(join(root, 'dist'))
  makeReadable(root)
  const schedule = await startServer(folder, 'schedule', {})
  await schedule.query('create database pgarch')
  const launcher = join(root, 'bin', 'pgarch')
  const stateDirectory = makeFolder(folder, 'state')
  const environment = {
    PGARCH_SCHEDULE_URL: schedule.url('pgarch', 'pgarch_agent'),
    PGARCH_STATE_DIR: stateDirectory,
    PGARCH_SSH_IDENTITY: identity,
  }
  const admin = (...words: string[]) =>
    run(launcher, words, { ...environment, PGARCH_SCHEDULE_URL: schedule.url('pgarch') })
  admin('init')
  const nativeLauncher = installNative(folder, root)
  const memory = new Map<string, number[]>()
  const roots: string[] = []
  let state = ''
  let priority = 0
  const worker = () => workerOf(join(state, 'worker.pid'))
  const endWorker = async () => {
    await endProcess(worker())
    rmSync(join(state, 'pushed'), { recursive: true, force: true })
  }
  const prefer = async (path: string) => {
    await endWorker()
    admin('route', 'set', 'bench', path, '--priority', String(++priority))
  }
  return {
    launcher,
    environment,
    memory,
    admin,
    schedule,
    endWorker,
    prefer,
    register(server) {
      state = join(stateDirectory, server.dataDirectory, '@pgarch')
      admin('register', '--name', 'bench', '--pgdata', server.dataDirectory, '--pguser', 'postgres')
    },
    addPath(name, sshd) {
      const path = makeFolder(folder, `path-${name}`)
      roots.push(path)
      const words = ['path', 'add', name, '--root', path]
      if (sshd !== undefined) {
        const { user, host, hostKey } = sshd.server
        words.push('--ssh', `${user}@${host}:${sshd.port}`, '--host-key', hostKey)
      }
      admin(...words)
    },
    contender: contenderOf(launcher),
    native: nativeLauncher === undefined ? undefined : contenderOf(nativeLauncher),
  }

  function contenderOf(from: string): Pgarch['contender'] {
    return (name, path, more = {}) => ({
      name,
      command: `${from} push %p %f`,
      groups: { worker, 'scheduling database': () => schedule.pid, ...more },
      async clear() {
        await prefer(path)
        for (const one of roots) rmSegments(one)
      },
      inspect() {
        const megabytes = peakMemory(worker())
        if (megabytes !== undefined) memory.set(name, [...(memory.get(name) ?? []), megabytes])
      },
    })
  }
}

/** The bundle looks for the add-on beside itself. It fits the Node.js that it was built for alone. */
function installNative(folder: string, root: string): string | undefined {
  const addOn = 'crypto/build/Release/sshcrypto.node'
  const built = join(checkout, 'node_modules/ssh2/lib/protocol', addOn)
  if (!existsSync(built)) return undefined
  const native = makeFolder(folder, 'pgarch-native')
  cpSync(root, native, { recursive: true, verbatimSymlinks: true })
  cpSync(built, join(native, 'dist', addOn))
  makeReadable(native)
  return join(native, 'bin', 'pgarch')
}

/** The file is a hint: the process may have ended long ago. */
export function workerOf(file: string): number | undefined {
  try {
    const pid = readFileSync(file, 'utf8').trim()
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('worker') ? Number(pid) : undefined
  } catch {
    return undefined
  }
}

export async function endProcess(pid: number | undefined): Promise<void> {
  if (pid === undefined) return
  process.kill(pid, 'SIGKILL')
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await sleep(10)
  }
}

function rmSegments(root: string): void {
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.zst')) rmSync(join(root, file))
  }
}
