import { statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  cacheRoute,
  readCachedRoute,
  requireReadableRoute,
} from '../../src/schedule/cached-route.ts'
import type { Route } from '../../src/schedule/types.ts'
import { temporaryFolder } from '../support/folder.ts'

const route: Route = {
  fingerprint: '0c5d1ae6-6b5e-4b4a-9d0c-3d1f4a3f8a11',
  clusterName: 'app',
  version: 7,
  switch: 'start',
  switchReason: null,
  switchAuthor: null,
  paths: [],
}

let state: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  state = temporaryFolder('cached-route')
})
afterEach(() => state.remove())

const kept = async () => (await readCachedRoute(state.path, route.fingerprint))?.route

it('a route that is kept already is not written again', async () => {
  await cacheRoute(state.path, route)
  const { ino } = statSync(join(state.path, 'route.json'))
  await cacheRoute(state.path, structuredClone(route))
  expect(statSync(join(state.path, 'route.json')).ino).toBe(ino)
  expect(await kept()).toEqual(route)
})

it('when it was last read is known, also of a route that has not changed for long', async () => {
  await cacheRoute(state.path, route)
  const long = new Date('2020-02-02T02:02:02Z')
  utimesSync(join(state.path, 'route.json'), long, long)
  const read = async () => (await readCachedRoute(state.path, route.fingerprint))?.readTime
  expect(await read()).toEqual(long)
  await cacheRoute(state.path, structuredClone(route))
  expect((await read())?.getTime()).toBeGreaterThan(long.getTime())
})

it.each([
  ['a newer version', { version: 8 }],
  ['an older version, of a database that was restored', { version: 3 }],
  ['the same version with other content, of such a one', { switch: 'pause' as const }],
])('%s is kept', async (_, change) => {
  await cacheRoute(state.path, route)
  await cacheRoute(state.path, { ...route, ...change })
  expect(await kept()).toEqual({ ...route, ...change })
})

it('who only looks is told of one that nobody can read, and not of one that is not there', async () => {
  await expect(requireReadableRoute(state.path)).resolves.toBeUndefined()
  await cacheRoute(state.path, route)
  await expect(requireReadableRoute(state.path)).resolves.toBeUndefined()
  const file = join(state.path, 'route.json')
  for (const damage of ['', '{"version":', '{"version":2}']) {
    writeFileSync(file, damage)
    expect(await kept()).toBeUndefined()
    await expect(requireReadableRoute(state.path)).rejects.toMatchObject({
      failure: 'unusable',
      message: `file "${file}" is damaged`,
    })
  }
})
