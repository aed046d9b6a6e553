import { chmod, constants, type FileHandle, lstat, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { syncDirectory } from '../fs/durable.ts'
import { fileError, hasCode } from '../fs/errors.ts'
import type { DataDirectory } from './data-directory.ts'

/**
 * Where this host keeps what pgarch knows of a data directory; nothing of it lies in the data
 * directory itself, which is copied, restored and re-created. `@pgarch` cannot be mistaken for a
 * directory on the way to another data directory's state.
 *
 * @param base PGARCH_STATE_DIR
 */
export function stateDirectoryOf(base: string, dataDirectory: { readonly path: string }): string {
  return join(base, dataDirectory.path, '@pgarch')
}

/**
 * Makes the state directory, durably, for the data directory's owner alone, and returns its path; one
 * that is there already is checked, and closed to others. Root can always make it; the owner where permissions allow.
 * `unusable` otherwise.
 */
export async function createStateDirectory(
  base: string,
  dataDirectory: DataDirectory,
): Promise<string> {
  const path = stateDirectoryOf(base, dataDirectory)
  const user = process.geteuid?.()
  if (user !== 0 && user !== dataDirectory.uid) throw wrongUser(dataDirectory, user)
  try {
    for (const parent of parentsOf(path)) {
      // Its owner must be able to pass through, whatever root's umask is.
      if (await makeDirectory(parent, 0o755)) await chmod(parent, 0o755)
    }
    if ((await makeDirectory(path, 0o700)) && user === 0) {
      const { uid, gid } = dataDirectory
      await withDirectory(path, (directory) => directory.chown(uid, gid))
    }
  } catch (thrown) {
    throw fileError('create state directory', path, thrown, hint)
  }
  await checkOwner(path, dataDirectory)
  return path
}

/** From the root directory downwards. */
function parentsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === path ? [] : [...parentsOf(parent), parent]
}

/** Whether it was missing. */
async function makeDirectory(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode })
  } catch (thrown) {
    if (hasCode(thrown, 'EEXIST')) return false
    throw thrown
  }
  await syncDirectory(dirname(path))
  return true
}

/** By descriptor and not through a link, as a parent directory may be under somebody's control. */
async function withDirectory(
  path: string,
  use: (directory: FileHandle) => Promise<void>,
): Promise<void> {
  const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
  const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    await use(directory)
  } finally {
    await directory.close()
  }
}

async function checkOwner(path: string, dataDirectory: DataDirectory): Promise<void> {
  const status = await lstat(path).catch((thrown) => {
    throw fileError('read state directory', path, thrown, hint)
  })
  if (!status.isDirectory()) {
    throw new PgarchError('unusable', `state directory "${path}" is not a directory`)
  }
  if (status.uid !== dataDirectory.uid) {
    throw new PgarchError(
      'unusable',
      `state directory "${path}" belongs to user ${status.uid}, but the data directory to user ` +
        `${dataDirectory.uid}`,
      { hint: 'Give it to that user with chown -R, or remove it and run "pgarch register" again.' },
    )
  }
  if ((status.mode & 0o077) !== 0) await closeToOthers(path)
}

async function closeToOthers(path: string): Promise<void> {
  try {
    await withDirectory(path, (directory) => directory.chmod(0o700))
  } catch (thrown) {
    throw fileError('close state directory to others', path, thrown, hint)
  }
}

function wrongUser({ path, uid }: DataDirectory, user: number | undefined): PgarchError {
  return new PgarchError(
    'refused',
    `data directory "${path}" belongs to user ${uid}, but pgarch runs as user ${user}`,
    { hint: 'Run it as the owner of the data directory, or as root.' },
  )
}

const hint =
  'Run "pgarch register" once as root, or set PGARCH_STATE_DIR to a directory that the owner of ' +
  'the data directory can write; it must be local to this host, never on NFS.'
