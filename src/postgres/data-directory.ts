import { open, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { PgarchError } from '../errors.ts'
import { fileError, hasCode } from '../fs/errors.ts'

export interface DataDirectory {
  /** Physical: absolute and without symbolic links. */
  readonly path: string
  /** Unsigned 64-bit decimal. */
  readonly systemIdentifier: string
  /** Of the directory, hence of the server's processes. */
  readonly uid: number
  readonly gid: number
  /** From PG_VERSION: 15 */
  readonly majorVersion: number
}

/**
 * Reads what says which cluster a data directory is; the server need not run. `usage` when it is no
 * data directory, `unusable` when it cannot be read.
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  try {
    const physical = await realpath(path)
    const [{ uid, gid }, version, systemIdentifier] = await Promise.all([
      stat(physical),
      readFile(join(physical, 'PG_VERSION'), 'utf8'),
      readSystemIdentifier(join(physical, 'global/pg_control')),
    ])
    const majorVersion = Number.parseInt(version, 10)
    if (!(majorVersion > 0) || systemIdentifier === undefined) throw notDataDirectory(path)
    return { path: physical, systemIdentifier, uid, gid, majorVersion }
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) throw notDataDirectory(path, thrown)
    throw fileError('read data directory', path, thrown, permissionHint)
  }
}

/**
 * The first 8 bytes of ControlFileData (pg_control.h), in every version. The server rewrites the file
 * in place, but these bytes never change. Undefined when they are missing or zero.
 */
async function readSystemIdentifier(controlFile: string): Promise<string | undefined> {
  const file = await open(controlFile)
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8), 0, 8, 0)
    const identifier = buffer.readBigUInt64LE(0)
    return bytesRead === 8 && identifier !== 0n ? identifier.toString() : undefined
  } finally {
    await file.close()
  }
}

/**
 * Makes sure that a file that is to be archived lies in pg_wal: timeline and backup history files do
 * not tell which cluster they are from, so that their place must. `refused` when it does not.
 *
 * @param walPath PostgreSQL's %p, relative to the data directory or absolute
 */
export async function checkWalPath(dataDirectory: DataDirectory, walPath: string): Promise<void> {
  const given = dirname(below(dataDirectory.path, walPath))
  const expected = join(dataDirectory.path, 'pg_wal')
  try {
    if ((await realpath(given)) === (await realpath(expected))) return
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT', 'ENOTDIR')) {
      throw fileError('read directory', given, thrown, permissionHint)
    }
  }
  throw new PgarchError('refused', `"${walPath}" is not in "${expected}"`, {
    hint: "Only files in the data directory's own pg_wal are archived: use archive_command's %p.",
  })
}

/**
 * The data directory into which a restored file goes. PostgreSQL's own %p is `pg_wal/RECOVERYXLOG`,
 * relative to the data directory, in which it runs the command; pg_rewind's is
 * `TARGET/pg_wal/SEGMENT`, relative to wherever pg_rewind was started. The path is cut as it is
 * written: pg_wal may be a symbolic link, so its `..` may be anywhere. A name alone, from a person,
 * means the working directory.
 */
export function dataDirectoryOfTarget(walPath: string, workingDirectory: string): string {
  return below(workingDirectory, dirname(dirname(walPath)))
}

/** Without path.join, which takes `link/..` away although it may lead elsewhere. */
function below(directory: string, path: string): string {
  if (isAbsolute(path)) return path
  return path === '.' ? directory : `${directory}/${path}`
}

const permissionHint = 'Run it as the user that the server runs as, or as root.'

function notDataDirectory(path: string, cause?: unknown): PgarchError {
  return new PgarchError('usage', `"${path}" is not a PostgreSQL data directory`, {
    hint:
      'PostgreSQL runs archive_command and restore_command in its data directory; on the command ' +
      'line, change to it or name it with --pgdata.',
    cause,
  })
}
