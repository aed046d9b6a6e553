import { execFileSync } from 'node:child_process'

export interface UserIds {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/**
 * The user that servers, and pgarch under them, run as: never root. Tests that run as root use
 * `postgres`, which Debian's packages create; others use whoever runs them.
 */
export const unprivileged: UserIds = findUser()

function findUser(): UserIds {
  const id = (...options: string[]) =>
    execFileSync('id', options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()
  if (process.getuid?.() !== 0) {
    return { name: id('-un'), uid: Number(id('-u')), gid: Number(id('-g')) }
  }
  return {
    name: 'postgres',
    uid: Number(id('-u', 'postgres')),
    gid: Number(id('-g', 'postgres')),
  }
}

/** Options for node:child_process and execa: run as that user, also when the tests run as root. */
export function asUnprivileged(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: unprivileged.uid, gid: unprivileged.gid } : {}
}
