import { readFileSync } from 'node:fs'

/** One system call of a run that was traced. */
export interface TracedCall {
  readonly thread: string
  /** Such as `fsync`. */
  readonly name: string
  /** Its arguments as strace prints them, descriptors with the files they stand for. */
  readonly text: string
}

/** The `number`-th call of this name in one thread; of those on `paths` alone, when there are any. */
export interface CallSite {
  readonly call: string
  readonly number: number
  readonly paths: readonly string[]
}

/** Words before a command that write its system calls, and its children's, to a log. */
export function recording(log: string, calls = '%file,%desc'): string[] {
  // No data is shown: it could look like a path.
  return ['strace', '-f', '-qq', '-y', '-s', '0', '-o', log, '-e', `trace=${calls}`, '--']
}

export function readCalls(log: string): TracedCall[] {
  return readFileSync(log, 'latin1')
    .split('\n')
    .flatMap((line) => {
      const [, thread = '', name = '', text = ''] = /^(\d+) +(\w+)\((.*)$/.exec(line) ?? []
      return name === '' ? [] : [{ thread, name, text }]
    })
}

/** Every call on something below one of the folders, in order, each with all that is touched there. */
export function callsBelow(folders: readonly string[], calls: readonly TracedCall[]): CallSite[] {
  const isBelow = (path: string) =>
    folders.some((folder) => path === folder || path.startsWith(`${folder}/`))
  const touched = ({ text }: TracedCall) =>
    [...text.matchAll(/["<](\/[^">]*)/g)].map(([, path]) => path ?? '').filter(isBelow)
  const below = calls.filter((call) => touched(call).length > 0)
  const paths = [...new Set(below.flatMap(touched))]
  return numbered(below).map(({ name, number }) => ({ call: name, number, paths }))
}

/** Every transfer over a socket. Its place is among all calls of that name in its thread. */
export function callsOnSockets(calls: readonly TracedCall[]): CallSite[] {
  return numbered(calls)
    .filter(({ name, text }) => {
      const isTransfer = /^(read|readv|recv|write|writev|send)/.test(name)
      return isTransfer && /^\d+<socket:/.test(text)
    })
    .map(({ name, number }) => ({ call: name, number, paths: [] }))
}

/** With each call's place among those of its name, as strace counts: for each thread by itself. */
function numbered(calls: readonly TracedCall[]): (TracedCall & { readonly number: number })[] {
  const counts = new Map<string, number>()
  return calls.map((call) => {
    const key = `${call.thread} ${call.name}`
    const number = (counts.get(key) ?? 0) + 1
    counts.set(key, number)
    return { ...call, number }
  })
}

/**
 * Words before a command that let something happen at a call, instead of it.
 *
 * @param what `signal=KILL`, or `error=EIO`
 */
export function injecting({ call, number, paths }: CallSite, what: string): string[] {
  const only = paths.flatMap((path) => ['-P', path])
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${number}`]
  return ['strace', '-f', '-qq', '-o', '/dev/null', ...only, ...inject, '--']
}
