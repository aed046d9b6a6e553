import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs'
import { tmpdir, type UserInfo, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { PgarchError } from '../../src/errors.ts'
import { dropToOwner } from '../../src/postgres/privileges.ts'
import { waitFor } from './servers.ts'

/** Where everything happens: a throwaway folder, of which only the logs stay. */
export interface Workplace {
  readonly folder: string
  /** Who owns it, and runs everything in it. */
  readonly user: string
  /** Directories of the programs: pgarch's own, PostgreSQL's, the system's. */
  readonly programs: readonly string[]
}

/** Stays when all else is removed: what ran, and what the servers said. */
const kept = ['commands.sh', 'logs']

/**
 * Makes the folder, with a copy of pgarch in it. Run as root, the whole process goes on as the user
 * `postgres` afterwards: no server may run as root, and that user need not be able to enter the
 * checkout, hence the copy.
 */
export function makeWorkplace(installation: string): Workplace {
  const postgres = findPostgres()
  requireSshd()
  const isRoot = process.getuid?.() === 0
  const user = isRoot ? findUser('postgres') : userInfo()
  const folder = mkdtempSync(join(tmpdir(), 'pgarch-quickstart-'))
  try {
    requirePlainName(folder)
    copyInstallation(installation, join(folder, 'installation'))
    if (isRoot) handOver(folder, user)
    process.chdir(folder)
    for (const name of ['logs', 'home', 'sockets']) mkdirSync(name)
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  const programs = [join(folder, 'installation', 'bin'), postgres, '/usr/bin', '/bin']
  return { folder, user: user.username, programs }
}

/** The worker ends by itself soon after its server, and so does what a push that was cut off left. */
export async function untilNothingRuns({ folder }: Workplace): Promise<void> {
  await waitFor('all processes end', () => !readdirSync('/proc').some(isOurs))

  function isOurs(pid: string): boolean {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      return `${command} ${readlinkSync(`/proc/${pid}/cwd`)}`.includes(`${folder}/`)
    } catch {
      return false // it has just ended, or is somebody else's
    }
  }
}

export function removeAllButLogs({ folder }: Workplace): void {
  for (const name of readdirSync(folder)) {
    if (kept.includes(name)) continue
    rmSync(join(folder, name), { recursive: true, maxRetries: 5, retryDelay: 100 })
  }
}

/** The newest PostgreSQL that has all the programs, as Debian and its kin lay them out. */
function findPostgres(): string {
  const root = '/usr/lib/postgresql'
  const needed = ['initdb', 'pg_ctl', 'psql', 'pgbench', 'pg_basebackup']
  const found = (existsSync(root) ? readdirSync(root) : [])
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(root, version, 'bin'))
    .find((bin) => needed.every((program) => existsSync(join(bin, program))))
  if (found !== undefined) return found
  throw new PgarchError('unusable', `found no PostgreSQL below "${root}"`, {
    hint: 'Install it with "apt-get install postgresql".',
  })
}

function requireSshd(): void {
  if (existsSync('/usr/sbin/sshd')) return
  throw new PgarchError('unusable', 'found no OpenSSH server', {
    hint: 'Install it with "apt-get install openssh-server".',
  })
}

type User = Pick<UserInfo<string>, 'username' | 'uid' | 'gid'>

function findUser(username: string): User {
  const id = (option: string) => execFileSync('id', [option, username], { encoding: 'utf8' })
  return { username, uid: Number(id('-u')), gid: Number(id('-g')) }
}

/** It becomes part of commands, settings and the paths of sockets, which allow 107 bytes. */
function requirePlainName(folder: string): void {
  if (/^[\w/.+-]{1,80}$/.test(folder)) return
  throw new PgarchError('unusable', `"${folder}" is too long, or has special characters`, {
    hint: 'Set TMPDIR to a folder with a short and plain name, such as /tmp.',
  })
}

function copyInstallation(from: string, to: string): void {
  if (!existsSync(join(from, 'dist', 'main.cjs'))) {
    throw new PgarchError('unusable', `pgarch is not built in "${from}"`, {
      hint: 'Run "npm run quickstart", which builds it.',
    })
  }
  for (const part of ['bin', 'dist', 'sql', 'package.json']) {
    cpSync(join(from, part), join(to, part), { recursive: true })
  }
  const node = join(to, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')
  mkdirSync(dirname(node), { recursive: true })
  cpSync(process.execPath, node)
  execFileSync('chmod', ['-R', 'u+rwX', to])
}

/** Gives the folder to that user, as whom this process then goes on, for good. */
function handOver(folder: string, { username, uid, gid }: User): void {
  execFileSync('chown', ['-R', `${uid}:${gid}`, folder])
  if (spawnSync('/usr/bin/test', ['-w', folder], { cwd: '/', uid, gid }).status !== 0) {
    throw new PgarchError('unusable', `user "${username}" cannot enter "${dirname(folder)}"`, {
      hint: 'Set TMPDIR to a folder that everybody may enter, such as /tmp.',
    })
  }
  dropToOwner({ uid, gid })
}
