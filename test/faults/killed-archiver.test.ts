import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import type { Server } from '../support/postgres.ts'
import { age, contentOf, unfinished } from './archive.ts'
import { isFull, limit, report } from './extent.ts'

const hasTools = findProgram('zstd') !== undefined
const wanted = isFull ? 300 : 10

let fleet: Fleet

beforeAll(async () => {
  fleet = await startFleet()
})

describe.skipIf(!hasTools)('PostgreSQL archives, and its pushes are killed at any time', () => {
  test('every segment is archived once, as it is in pg_wal', { timeout: limit }, async () => {
    const root = await fleet.addPath('berlin')
    const primary = await fleet.startPrimary('killed', ['berlin'], {
      settings: { wal_keep_size: '2GB' },
    })
    const killed = await killPushes(primary, wanted)
    const last = await archiveSegment(primary, limit)
    const [{ failed = 0 } = {}] = await primary.query<{ failed: number }>(
      'select failed_count::int as failed from pg_stat_archiver',
    )
    expect(failed).toBeGreaterThan(0)

    const walDirectory = join(primary.dataDirectory, 'pg_wal')
    const segments = readdirSync(walDirectory).filter((name) => name <= last && name.length === 24)
    const stored = await fleet.rows<{ name: string; file: string; copies: number }>(
      `select f.wal_name as name,
              p.root_path || '/' || f.db_id || '/' || left(f.wal_name, 16) || '/' || f.wal_name || '.zst' as file,
              (select count(*)::int from pgarch.arch_copy c
               where c.db_id = f.db_id and c.wal_name = f.wal_name) as copies
       from pgarch.arch_file f, pgarch.arch_path_info p order by 1`,
    )
    expect(stored.map(({ name }) => name)).toEqual(segments.sort())
    for (const { name, file, copies } of stored) {
      expect(copies).toBe(1)
      expect(contentOf(file).equals(readFileSync(join(walDirectory, name)))).toBe(true)
    }
    const left = unfinished(root, fleet.environment.PGARCH_STATE_DIR ?? '')
    report('pushes killed under PostgreSQL', {
      killed,
      'segments archived': segments.length,
      'left behind': left.length,
    })
    age(left)
    await archiveSegment(primary)
    expect(unfinished(root, fleet.environment.PGARCH_STATE_DIR ?? '')).toEqual([])
    await primary.stop('immediate')
  })
})

/** Kills Node.js under the archiver after a random time, so many times; WAL is written meanwhile. */
async function killPushes(primary: Server, times: number): Promise<number> {
  let killed = 0
  while (killed < times) {
    // Another one would also wake the archiver, which rests for a minute after three failures.
    await primary.query(
      `create table if not exists filler (n int);
       insert into filler select generate_series(1, 10);
       select pg_switch_wal()`,
    )
    let push: number | undefined
    await waitFor('a push runs', () => {
      push = findPush(primary)
      return push !== undefined
    })
    await sleep(Math.random() * 400)
    if (findPush(primary) === push && kill(push)) killed++
  }
  return killed
}

/** False when it has ended by itself. */
function kill(push: number | undefined): boolean {
  try {
    return push !== undefined && process.kill(push, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** The Node.js that a server's archiver runs now: it works in that server's data directory. */
function findPush({ dataDirectory }: Server): number | undefined {
  const found = readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const isPush = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/pgarch.cjs\0push\0')
      return isPush && readlinkSync(`/proc/${pid}/cwd`) === dataDirectory
    } catch {
      return false // it has ended meanwhile
    }
  })
  return found === undefined ? undefined : Number(found)
}
