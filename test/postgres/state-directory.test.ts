import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DataDirectory, openDataDirectory } from '../../src/postgres/data-directory.ts'
import { createStateDirectory, stateDirectoryOf } from '../../src/postgres/state-directory.ts'
import { makeDataDirectory, withRightsOf } from '../support/data-directory.ts'
import { makeFolder, ownByUnprivileged, temporaryFolder } from '../support/folder.ts'
import { unprivileged } from '../support/unprivileged.ts'

const isRoot = process.getuid?.() === 0
let folder: ReturnType<typeof temporaryFolder>
let dataDirectory: DataDirectory
beforeEach(async () => {
  folder = temporaryFolder('state-directory')
  const path = makeDataDirectory(folder.path, '7')
  ownByUnprivileged(path)
  dataDirectory = await openDataDirectory(path)
})
afterEach(() => folder.remove())

const mode = (path: string) => statSync(path).mode & 0o777

test("lies below the base, under the data directory's physical path", () => {
  expect(stateDirectoryOf('/var/lib/pgarch', { path: '/srv/pg/15' })).toBe(
    '/var/lib/pgarch/srv/pg/15/@pgarch',
  )
})

describe.runIf(isRoot)('as root', () => {
  test("makes the parents its own and the end the owner's, whatever the umask", async () => {
    const base = join(folder.path, 'a/b')
    const umask = process.umask(0o077)
    const made = await createStateDirectory(base, dataDirectory).finally(() => process.umask(umask))
    expect(made).toBe(stateDirectoryOf(base, dataDirectory))
    expect(statSync(made)).toMatchObject({ uid: unprivileged.uid, gid: unprivileged.gid })
    expect(mode(made)).toBe(0o700)
    for (let parent = dirname(made); parent !== folder.path; parent = dirname(parent)) {
      expect(statSync(parent).uid).toBe(0)
      expect(mode(parent)).toBe(0o755)
    }
    await withRightsOf(unprivileged, async () => writeFileSync(join(made, 'file'), ''))
  })

  test('leaves what is there as it is', async () => {
    const base = makeFolder(folder.path, 'base')
    chmodSync(base, 0o711)
    const made = await createStateDirectory(base, dataDirectory)
    writeFileSync(join(made, 'file'), '')
    expect(await createStateDirectory(base, dataDirectory)).toBe(made)
    expect(existsSync(join(made, 'file'))).toBe(true)
    expect(mode(base)).toBe(0o711)
  })

  test('closes to others what is open to them', async () => {
    const made = await createStateDirectory(folder.path, dataDirectory)
    chmodSync(made, 0o777)
    await createStateDirectory(folder.path, dataDirectory)
    expect(mode(made)).toBe(0o700)
  })

  test('does not follow a link that somebody has laid', async () => {
    const path = stateDirectoryOf(folder.path, dataDirectory)
    const victim = join(folder.path, 'victim')
    mkdirSync(victim)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(victim, path)
    await expect(createStateDirectory(folder.path, dataDirectory)).rejects.toMatchObject({
      failure: 'unusable',
      message: `state directory "${path}" is not a directory`,
    })
    expect(statSync(victim).uid).toBe(0)
  })

  test("refuses somebody else's directory", async () => {
    const path = stateDirectoryOf(folder.path, dataDirectory)
    mkdirSync(path, { recursive: true })
    await expect(createStateDirectory(folder.path, dataDirectory)).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringContaining('belongs to user 0, but the data directory to user'),
    })
  })

  test('nobody but root makes one for another user', async () => {
    const others = { ...dataDirectory, uid: unprivileged.uid + 1 }
    await withRightsOf(unprivileged, async () => {
      await expect(createStateDirectory(folder.path, others)).rejects.toMatchObject({
        failure: 'refused',
      })
    })
    expect(existsSync(dirname(stateDirectoryOf(folder.path, others)))).toBe(false)
  })
})

describe('as the owner', () => {
  test('makes it where that is allowed, again and again', async () => {
    await withRightsOf(unprivileged, async () => {
      const made = await createStateDirectory(join(folder.path, 'mine'), dataDirectory)
      expect(mode(made)).toBe(0o700)
      expect(await createStateDirectory(join(folder.path, 'mine'), dataDirectory)).toBe(made)
    })
  })

  test('says what to do where it is not', async () => {
    const base = makeFolder(folder.path, 'closed')
    chmodSync(base, 0o555)
    await withRightsOf(unprivileged, async () => {
      await expect(createStateDirectory(base, dataDirectory)).rejects.toMatchObject({
        failure: 'unusable',
        message: expect.stringMatching(
          /^could not create state directory ".*": permission denied$/,
        ),
        hint: expect.stringContaining('PGARCH_STATE_DIR'),
      })
    })
  })

  test('says so when a file is in the way', async () => {
    writeFileSync(join(folder.path, 'file'), '')
    await expect(
      createStateDirectory(join(folder.path, 'file'), dataDirectory),
    ).rejects.toMatchObject({ message: expect.stringMatching(/: not a directory$/) })
  })
})
