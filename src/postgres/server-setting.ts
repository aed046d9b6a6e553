import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * What a running server's configuration says of a setting, without asking the server, which may not
 * accept connections: its own program reads the files, with the options that it was started with
 * (postmaster.opts, CreateOptsFile in postmaster.c; `postgres -C`). Undefined when that is not to be had.
 */
export async function readServerSetting(
  dataDirectory: string,
  name: string,
): Promise<string | undefined> {
  try {
    const options = await readFile(join(dataDirectory, 'postmaster.opts'), 'utf8')
    const [, program = '', rest = ''] = /^(.*?)((?: "[^\n]*)?)\n/.exec(options) ?? []
    const words = [...rest.matchAll(/ "(.*?)"(?=$| ")/g)].map(([, word = '']) => word)
    // The last -D counts; theirs may be relative to anywhere.
    const { stdout } = await promisify(execFile)(program, [...words, '-D', '.', '-C', name], {
      cwd: dataDirectory,
      timeout: 10_000,
    })
    return stdout.trim()
  } catch {
    return undefined
  }
}
