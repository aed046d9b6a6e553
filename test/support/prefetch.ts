import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Fleet, waitFor } from './fleet.ts'
import { ownByUnprivileged } from './folder.ts'
import type { Server } from './postgres.ts'
import { processRuns, stateOf, stateOfProcess } from './worker.ts'

/** The segments that lie ready for a server, of whatever life. */
export function readySegments(fleet: Fleet, server: Server): string[] {
  return readyFiles(fleet, server).map((file) => file.slice(-24))
}

/** The files themselves, by name. */
export function readyFiles(fleet: Fleet, server: Server): string[] {
  return spoolFiles(fleet, server).filter((file) => /\/[0-9-]+\/[0-9A-F]{24}$/.test(file))
}

/** Those that the worker says are on their way. */
export function comingSegments(fleet: Fleet, server: Server): string[] {
  const coming = spoolFiles(fleet, server).filter((file) => file.endsWith('.coming'))
  return coming.map((file) => file.slice(-31, -7))
}

function spoolFiles(fleet: Fleet, server: Server): string[] {
  const parent = stateOf(fleet, server, 'prefetch')
  if (!existsSync(parent)) return []
  const names = readdirSync(parent, { recursive: true, encoding: 'utf8' })
  return names.sort().map((name) => join(parent, name))
}

/** The folder of the life that a server lives, or lived last. */
export function spoolOf(fleet: Fleet, server: Server): string {
  const lines = readFileSync(join(server.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')
  const [key, id] = (lines[6] ?? '').trim().split(/ +/)
  return stateOf(fleet, server, 'prefetch', [lines[0], lines[2], key, id].join('-'))
}

/** The pid of a server's prefetching worker that is there, zombies not counted. */
export function prefetcherOf(fleet: Fleet, server: Server): number | undefined {
  try {
    const pid = Number(readFileSync(stateOf(fleet, server, 'prefetch.pid'), 'utf8'))
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return command.includes('--prefetch-after') && stateOfProcess(pid) !== 'Z' ? pid : undefined
  } catch {
    return undefined
  }
}

export async function untilPrefetching(fleet: Fleet, server: Server): Promise<number> {
  await waitFor('a prefetching worker is there', () => prefetcherOf(fleet, server) !== undefined)
  return prefetcherOf(fleet, server) ?? 0
}

export async function untilReady(
  fleet: Fleet,
  server: Server,
  segments: readonly string[],
): Promise<void> {
  const wanted = segments.join()
  await waitFor(`${wanted} lie ready`, () => readySegments(fleet, server).join() === wanted)
}

/**
 * Until the worker has looked twice what there is to do, and has nothing on its way: what it has not
 * begun by then, it begins only after news. Each time, it removes a bell of a segment that nobody wants.
 */
export async function untilSettled(fleet: Fleet, server: Server): Promise<void> {
  await untilPrefetching(fleet, server)
  await waitFor('it has a spool', () => existsSync(spoolOf(fleet, server)))
  const bell = join(spoolOf(fleet, server), '00000001FFFFFFFF000000FF.bell')
  for (let looks = 0; looks < 2; looks++) {
    writeFileSync(bell, '')
    await waitFor('it looks', () => !existsSync(bell))
  }
  await waitFor('nothing is on its way', () => comingSegments(fleet, server).length === 0)
}

/** Until its prefetching worker, if there was one, has ended in good order. */
export async function untilNothingLies(fleet: Fleet, server: Server): Promise<void> {
  const pid = prefetcherOf(fleet, server)
  const lives = stateOf(fleet, server, 'prefetch')
  await waitFor('nothing of it is left', () => {
    if (existsSync(stateOf(fleet, server, 'prefetch.pid'))) return false
    return !existsSync(lives) || readdirSync(lives).length === 0
  })
  await waitFor('the process ends', () => pid === undefined || !processRuns(pid))
}

/** In place of Node.js, for PGARCH_NODE: notes the files that the launcher asks it for. */
export function notingNode(folder: string): { program: string; asked(): string[] } {
  const program = join(folder, `node-${Math.random().toString(36).slice(2)}`)
  writeFileSync(program, `#!/bin/sh\necho "$*" >>"$0.asked"\nexec '${process.execPath}' "$@"\n`, {
    mode: 0o755,
  })
  writeFileSync(`${program}.asked`, '')
  ownByUnprivileged(`${program}.asked`)
  return {
    program,
    asked: () =>
      readFileSync(`${program}.asked`, 'utf8').match(/(?<= fetch )[0-9A-F]+(\.history)?/g) ?? [],
  }
}

/** The segments that a server says it was given, in this order, without those that Node.js gave. */
export function takenReady(server: Server, node: ReturnType<typeof notingNode>): string[] {
  const restored = server.log().match(/(?<=restored log file ")[0-9A-F]{24}(?=")/g) ?? []
  const asked = node.asked()
  return restored.filter((name) => !asked.includes(name))
}
