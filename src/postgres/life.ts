import { join } from 'node:path'
import { hasCode } from '../fs/errors.ts'
import { readIfThere } from '../fs/there.ts'

/** One life of a server: from a start of its postmaster to its end. */
export interface Life {
  /**
   * `PID-START-KEY-ID`: no other life of any server in this data directory has this name, not even
   * after a crash of the operating system. Can be a directory's name.
   */
  readonly name: string
  readonly postmasterPid: number
  readonly port: number
  /** The first one; undefined where the server has no Unix-domain socket. */
  readonly socketDirectory: string | undefined
}

/**
 * The life that postmaster.pid tells of (miscadmin.h, "postmaster.pid": pid, data directory, start
 * time in seconds, port, socket directory, listen address, shared memory key and id). Undefined while
 * the server is still writing it, and for a single-user server, whose pid is negative.
 *
 * bin/pgarch reads the same lines with the shell's `read`, and must come to the same name.
 */
export function parsePostmasterPid(content: string): Life | undefined {
  const lines = content.split('\n')
  // The seventh line is whole once a newline follows it.
  if (lines.length < 8) return undefined
  const [pid = '', , start = '', port = '', socketDirectory = '', , shared = ''] = lines
  const memory = /^ *(\d+) +(\d+) *$/.exec(shared)
  if (memory === null || ![pid, start, port].every((text) => /^\d+$/.test(text))) return undefined
  return {
    name: [pid, start, memory[1], memory[2]].join('-'),
    postmasterPid: Number(pid),
    port: Number(port),
    socketDirectory: socketDirectory === '' ? undefined : socketDirectory,
  }
}

/**
 * The life of the server that runs on a data directory, or that crashed on it: whether its
 * postmaster is still there is not looked at. `unusable` when postmaster.pid cannot be read.
 */
export async function readLife(dataDirectory: string): Promise<Life | undefined> {
  const text = await readIfThere(join(dataDirectory, 'postmaster.pid'))
  return text === undefined ? undefined : parsePostmasterPid(text)
}

/** Whether there is such a process, whosesoever: a zombie counts. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (thrown) {
    return hasCode(thrown, 'EPERM')
  }
}
