import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeDataDirectory } from '../support/data-directory.ts'
import { waitFor } from '../support/fleet.ts'
import { makeFolder } from '../support/folder.ts'
import { untilNothingLies } from '../support/prefetch.ts'
import { processesIn } from '../support/processes.ts'
import { countOf, isInRecovery, startRestored } from '../support/restored.ts'
import { unprivileged } from '../support/unprivileged.ts'
import { workerOf } from '../support/worker.ts'
import { type Cluster, endScene, type Scene, setScene } from './clusters.ts'
import {
  claimedIn,
  contentOf,
  finishedBy,
  finishedNames,
  finishedOf,
  lyingOn,
  recordedIn,
} from './evidence.ts'
import { clusterCount, inParallel, limit, report } from './extent.ts'
import { endure } from './storm.ts'

// Many clusters archive to three paths, while everything fails that can, by turns and at once. What is
// true afterwards is told by each cluster's own pg_wal, and by the bytes on the paths.

let scene: Scene | undefined

beforeAll(async () => {
  scene = await setScene(clusterCount)
  report('clusters run', { clusters: scene.clusters.length })
  report('endured', await endure(scene))
}, limit)

afterAll(async () => {
  if (scene !== undefined) await endScene(scene)
}, limit)

function ourScene(): Scene {
  if (scene === undefined) throw new Error('there is no scene')
  return scene
}

it('every cluster went on without a gap, and all that it finished was archived as it was', async () => {
  const { fleet, clusters } = ourScene()
  for (const cluster of clusters) {
    const segments = finishedNames(cluster).filter((name) => name.length === 24)
    const numbers = segments.map((name) => Number.parseInt(name.slice(16), 16))
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
    expect(segments.length).toBeGreaterThan(1)
  }
  const finished = clusters.flatMap(finishedBy).sort()
  expect(await claimedIn(fleet)).toEqual(finished)
  report('finished', { files: finished.length })
})

it('there was something to endure: tries failed, and all paths and local archives were used', async () => {
  const { fleet, paths } = ourScene()
  const [figures] = await fleet.rows<Record<string, number>>(
    `select count(*) filter (where status)::int as stored,
            count(*) filter (where not status)::int as failed,
            count(distinct path_id) filter (where status)::int as paths,
            (select count(distinct wal_name)::int from pgarch.arch_local_log where status) as local
     from pgarch.arch_remote_log`,
  )
  expect(figures).toMatchObject({ paths: paths.length })
  expect(figures?.failed).toBeGreaterThan(0)
  expect(figures?.local).toBeGreaterThan(0)
  report('tries', figures ?? {})
})

it('every file is where the scheduling database says, on a path', async () => {
  const { fleet, clusters, paths } = ourScene()
  const lying = new Set(lyingOn(paths).copies)
  const recorded = await recordedIn(fleet)
  expect(recorded.filter((copy) => !lying.has(copy))).toEqual([])
  const contents = new Set(recorded.map(finishedOf))
  expect(clusters.flatMap(finishedBy).filter((file) => !contents.has(file))).toEqual([])
  await expectCounted()
})

it('nothing is said to be in a local archive, in conflict, or missing', async () => {
  const { fleet } = ourScene()
  const [found] = await fleet.rows(
    `select (select count(*)::int from pgarch.arch_copy where member_id is not null) as local,
            (select count(*)::int from pgarch.arch_conflict) as conflicts,
            (select count(*)::int from pgarch.arch_gap) as gaps`,
  )
  expect(found).toEqual({ local: 0, conflicts: 0, gaps: 0 })
})

// Who is killed, or cut off, right after a file got its name has not recorded it. Where its repetition
// took another path, there is one copy more than is known: of the same bytes.
it('nothing else lies there but copies that nobody lived to record; a rebuild records them', async () => {
  const { fleet, clusters, paths } = ourScene()
  const { copies, others } = lyingOn(paths)
  const finished = new Set(clusters.flatMap(finishedBy))
  expect(copies.filter((copy) => !finished.has(finishedOf(copy)))).toEqual([])
  const expected = /^pgarch-path$|^manifest\.json$|^\..+\.pgarch-tmp$/
  expect(others.filter((name) => !expected.test(name))).toEqual([])
  const unrecorded = copies.length - (await recordedIn(fleet)).length
  expect(unrecorded).toBeLessThan(copies.length / 20)

  await fleet.admin('schedule', 'rebuild')
  expect(await recordedIn(fleet)).toEqual(copies)
  expect(await claimedIn(fleet)).toEqual([...finished].sort())
  await expectCounted()
  const unfinished = others.filter((name) => name.endsWith('.pgarch-tmp')).length
  report('on paths', { copies: copies.length, unrecorded, unfinished })
})

/** What is counted as it is told is what there is to count. */
async function expectCounted(): Promise<void> {
  const { fleet } = ourScene()
  const counted = await fleet.rows(
    `select path_id, db_id, files::int, stored_bytes::int from pgarch.arch_path_use
     where files <> 0 order by 1, 2`,
  )
  const there = await fleet.rows(
    `select path_id, db_id, count(*)::int as files, sum(stored_bytes)::int as stored_bytes
     from pgarch.arch_copy group by 1, 2 order by 1, 2`,
  )
  expect(counted).toEqual(there)
}

/** A host of the cluster's that has archived nothing; fetches as PostgreSQL would. */
function startFetching({ fleet }: Scene, { server, name }: Cluster) {
  const control = readFileSync(join(server.dataDirectory, 'global/pg_control'))
  const folder = makeFolder(fleet.folder, `fetching-${name}`)
  const dataDirectory = makeDataDirectory(folder, control.readBigUInt64LE().toString())
  execFileSync('chown', ['-R', `${unprivileged.uid}:${unprivileged.gid}`, dataDirectory])
  const target = join(dataDirectory, 'pg_wal/RECOVERYXLOG')
  return async (walName: string): Promise<Buffer> => {
    rmSync(target, { force: true })
    const words = ['fetch', walName, 'pg_wal/RECOVERYXLOG']
    const { status, stderr } = await fleet.pgarch(words, { cwd: dataDirectory })
    expect(status, stderr).toBe(0)
    return readFileSync(target)
  }
}

it('every file can be fetched, as it was, on a host that knows nothing', {
  timeout: limit,
}, async () => {
  const { clusters } = ourScene()
  let fetched = 0
  await inParallel(clusters, 3, async (cluster) => {
    const fetch = startFetching(ourScene(), cluster)
    for (const walName of finishedNames(cluster)) {
      expect((await fetch(walName)).equals(contentOf(cluster, walName)), walName).toBe(true)
      fetched++
    }
  })
  report('fetched', { files: fetched })
})

it('clusters can be restored to their last transaction', { timeout: limit }, async () => {
  const { fleet, clusters } = ourScene()
  for (const { backup, server } of clusters) {
    if (backup === undefined) continue
    const restored = await startRestored(fleet, backup, 'recovery', {
      environment: { PGARCH_FETCH_PREFETCH: '8' },
    })
    await waitFor('it is restored', async () => !(await isInRecovery(restored)), limit / 10)
    for (const table of ['numbers', 'noise']) {
      expect(await countOf(restored, table)).toBe(await countOf(server, table))
    }
    await restored.stop('immediate')
    await untilNothingLies(fleet, restored)
  }
  report('restored', { clusters: clusters.filter(({ backup }) => backup !== undefined).length })
})

it('when the servers stop, nothing of pgarch runs on', async () => {
  const { fleet, clusters } = ourScene()
  await inParallel(clusters, 3, async ({ server }) => {
    await server.stop('fast')
    const isQuiet = () =>
      workerOf(fleet, server) === undefined && processesIn(server.dataDirectory).length === 0
    await waitFor('nothing runs', isQuiet)
  })
})
