import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Fleet } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { expectStored, expectWhole, isStored } from './archive.ts'
import { isFull, report } from './extent.ts'
import {
  type Host,
  makeHost,
  type RunOptions,
  removeWal,
  segment,
  targetOf,
  type Wal,
  writeWal,
} from './host.ts'
import { wake } from './state.ts'

/** How long a path may take, in seconds: little, as tests wait for it, but enough for a busy machine. */
export const patience = { connect: 2, stall: 2, transfer: 6 }

export const impatient = {
  PGARCH_SSH_CONNECT_TIMEOUT: `${patience.connect}s`,
  PGARCH_STALL_TIMEOUT: `${patience.stall}s`,
  PGARCH_TRANSFER_TIMEOUT: `${patience.transfer}s`,
}

/** A host with two paths, of which the first will fail. */
export interface Ground {
  readonly host: Host
  /** Root directories. */
  readonly first: string
  readonly second: string
  /** Of the first path. */
  readonly name: string
  readonly options: RunOptions
}

/** What becomes of the first path. */
export interface Trouble {
  /** For the report. */
  readonly what: string
  begin(): unknown
  /** Once push was started. */
  meanwhile?(): Promise<void>
  end(): unknown
  /** What push says of the path. */
  readonly says: RegExp
}

let grounds = 0

/** `add` adds the first path, whose root exists; the second one is a folder of this machine. */
export async function layGround(
  fleet: Fleet,
  add: (name: string, root: string) => Promise<unknown>,
  options: RunOptions = {},
): Promise<Ground> {
  const number = ++grounds
  const name = `first-${number}`
  const first = makeFolder(fleet.folder, name)
  await add(name, first)
  const second = await fleet.addPath(`second-${number}`)
  const host = await makeHost({ fleet })
  await fleet.admin('route', 'set', host.name, name, '--priority', '2')
  await fleet.admin('route', 'set', host.name, `second-${number}`, '--priority', '1')
  return { host, first, second, name, options }
}

/** The second path takes over; the first one is left alone, comes back, and is used again. */
export async function endure(ground: Ground, trouble: Trouble): Promise<void> {
  const { host, first, second, options } = ground
  const rounds = isFull ? 10 : 1
  for (let round = 1; round <= rounds; round++) {
    const during = writeWal(host, segment(host, round, 1))
    const resting = writeWal(host, segment(host, round, 2))
    const after = writeWal(host, segment(host, round, 3))
    await trouble.begin()
    try {
      const [pushed] = await Promise.all([host.push(during, options), trouble.meanwhile?.()])
      expect(pushed).toMatchObject({ status: 0, stderr: expect.stringMatching(trouble.says) })
      expectStored(host, second, during)
      expect(await tries(host, during)).toEqual([
        { root: first, stored: false },
        { root: second, stored: true },
      ])
      expect(await host.push(resting, options)).toMatchObject({ status: 0 })
      expect(await tries(host, resting)).toEqual([{ root: second, stored: true }])
      await expectFetched(ground, during)
    } finally {
      await trouble.end()
    }
    wake(host)
    expect(await host.push(after, options)).toMatchObject({ status: 0 })
    expectStored(host, first, after)
    expect(isStored(host, second, after)).toBe(false)
    expect(await tries(host, after)).toEqual([{ root: first, stored: true }])
    await expectFetched(ground, after)
    expectWhole(host, first, [after])
    for (const { name } of [during, resting, after]) removeWal(host, name)
  }
  report(trouble.what, { rounds })
}

async function expectFetched({ host, options }: Ground, wal: Wal): Promise<void> {
  expect(await host.fetch(wal, options)).toMatchObject({ status: 0 })
  const fetched = readFileSync(join(host.dataDirectory, targetOf(wal.name)))
  expect(fetched.equals(wal.content)).toBe(true)
}

/** The paths that a file was brought to, in order. */
async function tries({ fleet, name }: Host, wal: Wal) {
  return await fleet.rows<{ root: string; stored: boolean }>(
    `select p.root_path as root, l.status as stored
     from pgarch.arch_remote_log l
       join pgarch.arch_db_info d on d.id = l.db_id
       join pgarch.arch_path_info p on p.id = l.path_id
     where d.name = $1 and l.wal_name = $2 order by l.create_time`,
    [name, wal.name],
  )
}
