import { afterAll, beforeAll, expect, test } from 'vitest'
import { storedName } from '../../src/stores/stored-file.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { openClaimed, options } from './bed.ts'
import { fingerprint, randomSample, segment } from './samples.ts'

const folder = temporaryFolder('sftp-without-statvfs')
let sshd: Sshd

beforeAll(async () => {
  sshd = await startSshd({ folder: folder.path, without: 'statvfs' })
})
afterAll(async () => {
  await sshd.stop()
  await folder.remove()
})

test('a server that does not say how much space there is takes files in spite of a reserve', async () => {
  const { host, port, user, hostKey, identity } = sshd
  const path = { kind: 'sftp', sshHost: host, sshPort: port, sshUser: user, hostKey } as const
  const bed = { path, options: { ...options, identity } }
  const store = await openClaimed(bed, makeFolder(folder.path, 'root'), 2 ** 60)
  try {
    const { content, digest } = randomSample(100)
    expect(await store.put(storedName(fingerprint, segment), content, digest)).toMatchObject({
      outcome: 'stored',
    })
    expect(await store.probe()).toEqual({ freeBytes: undefined, totalBytes: undefined })
  } finally {
    await store.close()
  }
})
