import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { isRunning, type Life, readLife } from '../postgres/life.ts'

/** How often it is looked at, in milliseconds. */
const interval = 500

/** What a worker works for. */
export interface Worked {
  readonly dataDirectory: { readonly path: string }
  readonly stateDirectory: string
  readonly config: Config
}

/** How long a worker may go on. */
export interface Lifetime {
  /** The server's, which markers are for. */
  readonly life: string
  isOver(): boolean
  end(): void
  /** Looks whether it is over, unless somebody has just looked. */
  look(): Promise<void>
}

/**
 * Of a worker for the server that runs on a data directory. It is over when that server's life is,
 * its data directory is gone, or pgarch's program, its configuration or the membership is not what it
 * was; and when that server adopts orphans. Undefined when it would be over at once.
 *
 * @param goesOn whether there is still something to do for it
 */
export async function watchLifetime(
  worked: Worked,
  goesOn: () => Promise<boolean> = async () => true,
): Promise<Lifetime | undefined> {
  const { path } = worked.dataDirectory
  const life = await currentLife(path)
  const versions = await versionsOf(worked)
  let over = false
  let looked = performance.now()
  if (life === undefined || !(await goesOn())) return undefined
  return {
    life,
    isOver: () => over,
    end: () => {
      over = true
    },
    async look() {
      if (performance.now() - looked < interval) return
      looked = performance.now()
      over ||=
        (await currentLife(path)) !== life ||
        (await versionsOf(worked)) !== versions ||
        !(await goesOn())
    },
  }
}

/** Of a postmaster that is there, and not our shell's parent. */
async function currentLife(dataDirectory: string): Promise<string | undefined> {
  try {
    const life = await readLife(dataDirectory)
    if (life === undefined || (await isAdoptedBy(life))) return undefined
    return isRunning(life.postmasterPid) ? life.name : undefined
  } catch {
    return undefined
  }
}

/**
 * Whether the server has adopted our shell, as a subreaper does once the push that started it is gone.
 * The shell's end, with 0, is nothing to it; but who kills the shell would crash the server.
 */
async function isAdoptedBy({ postmasterPid }: Life): Promise<boolean> {
  const shell = await readFile(`/proc/${process.ppid}/stat`, 'utf8')
  const [, parent] = shell.slice(shell.lastIndexOf(')') + 2).split(' ')
  return Number(parent) === postmasterPid
}

/** Of what this process was started from: another file in its place is another version. */
async function versionsOf({ config, stateDirectory }: Worked): Promise<string> {
  const member = join(stateDirectory, 'member.json')
  const files = [process.argv[1], config.file, member].filter((file) => file !== undefined)
  const versions = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ ino, mtimeMs }) => `${ino} ${mtimeMs}`,
        () => 'gone',
      ),
    ),
  )
  return versions.join()
}
