import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, ownByUnprivileged } from '../test/support/folder.ts'
import type { Sshd } from '../test/support/sshd.ts'
import type { Contender } from './archiver.ts'
import { run, type Server } from './servers.ts'

/** What PostgreSQL's manual shows, made durable: cp, then fsync of the file and of its directory. */
export function copyAndSync(folder: string): Contender {
  const archive = makeFolder(folder, 'copied')
  return {
    name: 'cp + sync',
    command: `test ! -f ${archive}/%f && cp %p ${archive}/%f && sync ${archive}/%f ${archive}`,
    groups: {},
    clear: async () => empty(archive),
  }
}

/** One connection a segment, uncompressed; not durable. */
export function secureCopy(
  folder: string,
  sshd: Sshd,
  identity: string,
  groups: Contender['groups'],
): Contender {
  const archive = makeFolder(folder, 'secure-copied')
  const options = `-q -B -i ${identity} -P ${sshd.port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`
  return {
    name: 'scp',
    command: `scp ${options} %p ${sshd.user}@${sshd.host}:${archive}/%f`,
    groups,
    clear: async () => empty(archive),
  }
}

/** Nothing at all: what PostgreSQL's archiver itself costs. */
export const nothing: Contender = {
  name: 'true',
  command: 'true',
  groups: {},
  clear: async () => {},
}

export interface PgBackRest extends Contender {
  restoreCommand(dataDirectory: string): string
  /** Without what it holds for a server, once nothing of it runs any more. */
  clearSpool(): Promise<void>
}

/** Asynchronous, with lz4, its fastest, and four processes; undefined where it is not installed. */
export function pgbackrest(folder: string, server: Server): PgBackRest | undefined {
  if (!existsSync('/usr/bin/pgbackrest')) return undefined
  const [repository, spool, lock] = ['repository', 'spool', 'lock'].map((name) =>
    makeFolder(folder, name),
  )
  const file = join(folder, 'pgbackrest.conf')
  const settings = {
    'repo1-path': repository,
    'spool-path': spool,
    'lock-path': lock,
    'log-level-file': 'off',
    'log-level-console': 'error',
    'archive-async': 'y',
    'process-max': '4',
    'compress-type': 'lz4',
  }
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`)
  const cluster = `pg1-path=${server.dataDirectory}\npg1-port=${server.port}\npg1-socket-path=${server.socketDirectory}\npg1-user=postgres\n`
  writeFileSync(file, `[global]\n${lines.join('')}\n[bench]\n${cluster}`)
  ownByUnprivileged(file)
  const words = [`--config=${file}`, '--stanza=bench']
  run('pgbackrest', [...words, 'stanza-create'])
  const archive = join(repository as string, 'archive', 'bench')
  const clearSpool = async () => {
    // It goes on for a moment after the last segment.
    while (readdirSync(lock as string).length > 0) await sleep(50)
    empty(spool as string)
  }
  return {
    name: 'pgBackRest',
    command: `pgbackrest ${words.join(' ')} archive-push %p`,
    groups: {},
    async clear() {
      await clearSpool()
      for (const one of readdirSync(archive).filter(
        (name) => name !== 'archive.info' && name !== 'archive.info.copy',
      )) {
        empty(join(archive, one))
      }
    },
    clearSpool,
    restoreCommand: (dataDirectory) =>
      `pgbackrest ${words.join(' ')} --pg1-path=${dataDirectory} archive-get %f %p`,
  }
}

function empty(folder: string): void {
  for (const name of readdirSync(folder))
    rmSync(join(folder, name), { recursive: true, force: true })
}
