import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openStore } from '../../src/stores/open.ts'
import type { Store } from '../../src/stores/store.ts'
import { storedName } from '../../src/stores/stored-file.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { type Bed, openClaimed, options } from './bed.ts'
import { fingerprint, interrupted, randomSample, segment } from './samples.ts'

const folder = temporaryFolder('sftp-trouble')
const name = storedName(fingerprint, segment)
const large = randomSample(32_000_000)
const destination = join(folder.path, 'fetched')
let sshd: Sshd
let bed: Bed
let store: Store
let rootPath: string
let count = 0

beforeAll(async () => {
  sshd = await startSshd({ folder: folder.path })
})
afterAll(async () => {
  await sshd.stop()
  await folder.remove()
})
beforeEach(async () => {
  await sshd.restart()
  const { host, port, user, hostKey, identity } = sshd
  rootPath = makeFolder(folder.path, `root-${++count}`)
  bed = {
    path: { kind: 'sftp', sshHost: host, sshPort: port, sshUser: user, hostKey },
    options: { ...options, identity, connectTimeout: 1_000, stallTimeout: 1_000 },
  }
  store = await openClaimed(bed, rootPath)
})
afterEach(async () => {
  await store.close()
})

const failure = (of: string, message: RegExp) =>
  expect.objectContaining({ failure: of, message: expect.stringMatching(message) })
const finalNames = () =>
  readdirSync(join(rootPath, fingerprint, segment.slice(0, 16))).filter((one) => !isTemporary(one))
const isTemporary = (file: string) => file.endsWith('.pgarch-tmp')

describe('the server dies', () => {
  test('in the middle of an upload: no final name; the next try, on a new connection, succeeds', async () => {
    const content = interrupted(large, 12, () => sshd.kill())
    await expect(store.put(name, content, large.digest)).rejects.toEqual(
      failure('unreachable', /site-a.*connection lost/),
    )
    expect(finalNames()).toEqual([])
    await expect(store.put(name, large.content, large.digest)).rejects.toEqual(
      failure('unreachable', /connection lost/),
    )
    await sshd.restart()
    const next = await openStore(store.path, bed.options)
    try {
      expect(await next.put(name, large.content, large.digest)).toMatchObject({ outcome: 'stored' })
    } finally {
      await next.close()
    }
  })

  test('in the middle of a download: nothing remains, and nothing is absent', async () => {
    await store.put(name, large.content, large.digest)
    const get = store.get(name, destination)
    await untilIt(() => existsSync(destination))
    sshd.kill()
    await expect(get).rejects.toEqual(failure('unreachable', /connection lost/))
    expect(existsSync(destination)).toBe(false)
    await expect(store.get(name, destination)).rejects.toEqual(failure('unreachable', /lost/))
  })

  test('before anybody connects', async () => {
    await sshd.stop()
    await expect(openStore(store.path, bed.options)).rejects.toEqual(
      failure('unreachable', /site-a.*could not connect to 127.0.0.1, port \d+: .*ECONNREFUSED/),
    )
  })
})

describe('the network is cut: nothing answers any more', () => {
  test('in the middle of an upload', async () => {
    const content = interrupted(large, 12, () => sshd.freeze())
    await expect(store.put(name, content, large.digest)).rejects.toEqual(
      failure('unreachable', /site-a.*no progress for 1 s/),
    )
    sshd.thaw()
    expect(finalNames()).toEqual([])
  })

  test('in the middle of a download', async () => {
    await store.put(name, large.content, large.digest)
    const get = store.get(name, destination)
    await untilIt(() => existsSync(destination))
    sshd.freeze()
    await expect(get).rejects.toEqual(failure('unreachable', /no progress for 1 s/))
    expect(existsSync(destination)).toBe(false)
    sshd.thaw()
  })

  test('before anybody asks: the question times out, and the connection is closed all the same', async () => {
    sshd.freeze()
    await expect(store.get(name, destination)).rejects.toEqual(
      failure('unreachable', /no progress for 1 s/),
    )
    await store.close()
    sshd.thaw()
  })

  test('the caller aborts: it has its reason within the second, not the deadline', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const patient = await openStore(store.path, { ...bed.options, stallTimeout: 60_000 })
    const content = interrupted(large, 12, () => {
      sshd.freeze()
      abort.abort(reason)
    })
    await expect(patient.put(name, content, large.digest, abort.signal)).rejects.toBe(reason)
    await patient.close()
    sshd.thaw()
    expect(finalNames()).toEqual([])
  })

  test('before anybody connects', async () => {
    sshd.freeze()
    const left = { ...bed.options, connectTimeout: 949.924053 }
    await expect(openStore(store.path, left)).rejects.toEqual(
      failure('unreachable', /site-a.*could not connect.*no connection within 1 s/),
    )
    sshd.thaw()
  })
})

test('a lost connection is told by what rejects, and printed nowhere', async () => {
  // ssh2-sftp-client's own callbacks print with these; standard output belongs to data.
  const printers = (['log', 'error'] as const).map((method) => vi.spyOn(console, method))
  sshd.kill()
  await expect(store.get(name, destination)).rejects.toEqual(failure('unreachable', /lost/))
  await expect(openStore(store.path, bed.options)).rejects.toThrow()
  for (const printer of printers) {
    expect(printer).not.toHaveBeenCalled()
    printer.mockRestore()
  }
})

async function untilIt(happens: () => boolean): Promise<void> {
  while (!happens()) await new Promise(setImmediate)
}
