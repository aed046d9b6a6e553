import { existsSync } from 'node:fs'
import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import type { FileAccess } from '../../src/stores/file-access.ts'
import { FileStore } from '../../src/stores/file-store.ts'
import { LocalFiles } from '../../src/stores/local-files.ts'
import { withStore } from '../../src/stores/open.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { claim, describePath, options } from './bed.ts'
import { failure, name } from './bench.ts'
import { fingerprint, randomSample, type Sample, segment } from './samples.ts'

const folder = temporaryFolder('mounted-meanwhile')
const local = { kind: 'local', sshHost: null, sshPort: null, sshUser: null, hostKey: null } as const
let rootPath: string
let path: ReturnType<typeof describePath>
let sample: Sample
let count = 0
const next = `${segment}.partial`

beforeEach(async () => {
  rootPath = makeFolder(folder.path, `root-${++count}`)
  makeFolder(folder.path, `root-${count}.mountpoint`)
  path = describePath({ path: local, options }, rootPath)
  await claim({ path: local, options }, path)
  sample = randomSample(10)
  await withStore(path, options, (store) => store.put(name, sample.content, sample.digest))
})
afterAll(() => folder.remove())

// Renamed directories stand for the disk and its empty mount point.
const unmount = async () => {
  await rename(rootPath, `${rootPath}.disk`)
  await rename(`${rootPath}.mountpoint`, rootPath)
}
const mount = async () => {
  await rename(rootPath, `${rootPath}.mountpoint`)
  await rename(`${rootPath}.disk`, rootPath)
}

test('the disk is mounted between the look at the file and the look at pgarch-path: it is fetched', async () => {
  await unmount()
  const looked = Promise.withResolvers<void>()
  const files = new LocalFiles(path)
  const real = { look: files.look.bind(files), readText: files.readText.bind(files) }
  let looks = 0
  files.look = async (one) => {
    const answer = await real.look(one)
    if (looks++ === 0) {
      await mount()
      looked.resolve()
    }
    return answer
  }
  files.readText = async (one) => {
    await looked.promise
    return await real.readText(one)
  }
  await fetches(files)
})

test('the file is stored just after it was looked for: it is fetched', async () => {
  const stored = join(rootPath, name)
  await rename(stored, `${stored}.coming`)
  const files = new LocalFiles(path)
  const look = files.look.bind(files)
  let looks = 0
  files.look = async (one) => {
    const answer = await look(one)
    if (one === name && looks++ === 0) await rename(`${stored}.coming`, stored)
    return answer
  }
  await fetches(files)
})

test('the disk is unmounted between the look at pgarch-path and the look at the file', async () => {
  const read = Promise.withResolvers<void>()
  const files = new LocalFiles(path)
  const real = { look: files.look.bind(files), readText: files.readText.bind(files) }
  let reads = 0
  files.readText = async (one) => {
    const answer = await real.readText(one)
    if (reads++ === 0) {
      await unmount()
      read.resolve()
    }
    return answer
  }
  files.look = async (one) => {
    await read.promise
    return await real.look(one)
  }
  await inDoubt(files)
})

test('the disk is unmounted between the look at pgarch-path and the write of the file', async () => {
  const files = new LocalFiles(path)
  const create = files.create.bind(files)
  files.create = async (...given) => {
    if (!existsSync(`${rootPath}.disk`)) await unmount()
    return await create(...given)
  }
  const { content, digest } = randomSample(10, next)
  const store = new FileStore(path, files, options, false)
  const put = store.put(storedName(fingerprint, next), content, digest)
  await expect(put).rejects.toEqual(failure('unusable', /has no pgarch-path/))
})

test('the disk is unmounted once the same file was seen on it, and its mount point has one too', async () => {
  await cp(rootPath, `${rootPath}.mountpoint`, { recursive: true })
  await rm(`${rootPath}.mountpoint/pgarch-path`)
  const files = new LocalFiles(path)
  const sync = files.sync.bind(files)
  files.sync = async (one) => {
    if (one === name) await unmount()
    await sync(one)
  }
  const store = new FileStore(path, files, options, false)
  const put = store.put(name, sample.content, sample.digest)
  await expect(put).rejects.toEqual(failure('unusable', /has no pgarch-path/))
})

async function fetches(files: FileAccess): Promise<void> {
  const store = new FileStore(path, files, options, false)
  const destination = join(folder.path, `fetched-${count}`)
  expect(await store.get(name, destination)).toEqual(sample.digest)
  expect(existsSync(destination)).toBe(true)
}

/** Neither fetched nor absent. */
async function inDoubt(files: FileAccess): Promise<void> {
  const store = new FileStore(path, files, options, false)
  const destination = join(folder.path, `fetched-${count}`)
  await expect(store.get(name, destination)).rejects.toEqual(failure('unusable'))
  expect(existsSync(destination)).toBe(false)
}
