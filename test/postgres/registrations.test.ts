import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listDataDirectories, type Registration } from '../../src/postgres/registrations.ts'
import { withRightsOf } from '../support/data-directory.ts'
import { ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { unprivileged } from '../support/unprivileged.ts'

let folder: ReturnType<typeof temporaryFolder>
let base: string
beforeEach(() => {
  folder = temporaryFolder('registrations')
  base = join(folder.path, 'base')
  for (const path of ['srv/b', 'srv/a', 'srv/a/nested', 'data']) {
    mkdirSync(join(base, path, '@pgarch'), { recursive: true })
  }
  ownByUnprivileged(base)
})
afterEach(() => folder.remove())

/** Moves a directory below the base to another disk, so to say. */
function moveAway(path: string): void {
  const elsewhere = join(folder.path, 'elsewhere')
  mkdirSync(join(elsewhere, '@pgarch'), { recursive: true })
  mkdirSync(dirname(join(base, path)), { recursive: true })
  symlinkSync(elsewhere, join(base, path))
}

async function list(): Promise<Registration[]> {
  let found: Registration[] = []
  await withRightsOf(unprivileged, async () => {
    found = await listDataDirectories(base)
  })
  return found
}
const all = ['/data', '/srv/a', '/srv/a/nested', '/srv/b'].map((path) => ({ path }))

test('are all data directories that have a state directory, in order', async () => {
  mkdirSync(join(base, 'empty'))
  writeFileSync(join(base, 'file'), '')
  expect(await list()).toEqual(all)
  expect(await listDataDirectories(join(folder.path, 'missing'))).toEqual([])
})

test('are also found behind links, and not for ever where these go in circles', async () => {
  moveAway('moved/c')
  mkdirSync(join(base, 'linked'))
  symlinkSync(join(folder.path, 'elsewhere', '@pgarch'), join(base, 'linked/@pgarch'))
  symlinkSync('..', join(base, 'moved/up'))
  symlinkSync(join(base, 'srv'), join(base, 'srv/a/srv'))
  symlinkSync('/etc/passwd', join(base, 'file'))
  expect(await list()).toEqual([all[0], { path: '/linked' }, { path: '/moved/c' }, ...all.slice(1)])
})

test('may be in a directory that cannot be read, and behind a link that leads nowhere: that is told', async () => {
  chmodSync(join(base, 'srv'), 0)
  symlinkSync(join(folder.path, 'unmounted'), join(base, 'gone'))
  // As on a file system of its own; nothing of ours is there.
  mkdirSync(join(base, 'lost+found'), { mode: 0 })
  const unusable = (message: string) =>
    expect.objectContaining({ failure: 'unusable', message: expect.stringContaining(message) })
  expect(await list()).toEqual([
    all[0],
    { path: '/gone', trouble: unusable('no such file or directory') },
    { path: '/srv', trouble: unusable('permission denied') },
  ])
})
