import { PgarchError } from '../errors.ts'

/**
 * Goes on as the owner of a data directory, for good, when run as root; otherwise does nothing.
 * Files that are made afterwards are then the owner's, and what only root may read is closed to it.
 * `refused` when the owner is root, as which no server runs.
 */
export function dropToOwner(owner: { readonly uid: number; readonly gid: number }): void {
  if (process.geteuid?.() !== 0) return
  if (owner.uid === 0) {
    throw new PgarchError('refused', 'the data directory belongs to root', {
      hint: 'PostgreSQL does not run as root. Give the directory to the user it runs as.',
    })
  }
  takeGroups(owner)
  process.setgid?.(owner.gid)
  process.setuid?.(owner.uid)
}

/** Missing from @types/node. */
const { initgroups } = process as unknown as { initgroups(user: number, extraGroup: number): void }

/** Those of the user's own login, such as ssl-cert; a user id without a name, in a container, has none. */
function takeGroups({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  try {
    initgroups.call(process, uid, gid)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_CREDENTIAL') throw thrown
    process.setgroups?.([gid])
  }
}
