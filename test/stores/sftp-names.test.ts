import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest'
import { noteWorked } from '../../src/dns/addresses.ts'
import { keptAnswer } from '../../src/dns/kept-answers.ts'
import { hostKeyFingerprint, readHostKey } from '../../src/stores/host-key.ts'
import { withStore } from '../../src/stores/open.ts'
import type { PathDescription, StoreOptions } from '../../src/stores/store.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Named, startNamed } from '../support/named.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { claim, describePath, options as usual } from './bed.ts'

// The path's machine is at 127.0.0.3; at 127.0.0.2, which worked last, is another one by now.

const folder = temporaryFolder('sftp-names')
afterAll(folder.remove)

const before = '127.0.0.2'
let named: Named
let sshd: Sshd
let stranger: Sshd
let path: PathDescription
let options: StoreOptions & { names: { servers: string[]; directory: string } }

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('a path with a name', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path)
    sshd = await startSshd({ folder: folder.path, address: '127.0.0.3' })
    const { host, port, user, hostKey, identity } = sshd
    await named.update(`add nas 1 A ${before}`, `add nas 1 A ${host}`)
    const names = { servers: [named.server], directory: join(folder.path, 'names') }
    options = { ...usual, identity, names }
    const sftp = { kind: 'sftp', sshPort: port, sshUser: user, hostKey } as const
    const bed = { path: { ...sftp, sshHost: `nas.${named.zone}` }, options }
    path = describePath(bed, makeFolder(folder.path, 'root'))
    await claim(bed, { ...path, sshHost: host })
    stranger = await startSshd({ folder: folder.path, address: before, like: sshd })
    await stranger.restart({ newHostKey: true })
    await stranger.stop()
  })
  beforeEach(async () => {
    await noteWorked(`nas.${named.zone}`, before, options.names)
  })
  afterEach(() => stranger.stop())
  afterAll(async () => {
    await sshd.stop()
    await named.stop()
  })

  const open = (to = path) => withStore(to, options, (store) => store.probe())
  const kept = () => keptAnswer<string>(`nas.${named.zone}`, options.names)

  /** Says this, closes the connection, and tells how many said something as well. */
  async function closingServer(words: string): Promise<{ asked: number }> {
    const told = { asked: 0 }
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => told.asked++)
      socket.end(words)
    }).listen(sshd.port, before)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return told
  }

  it('somebody else has the address that worked last: the next one is taken, and comes first', async () => {
    await stranger.restart()
    await open()
    expect(await kept()).toBe('127.0.0.3')
  })

  it.each([
    ['has too many connections', 'Exceeded MaxStartups\r\n'],
    ['ends after its banner', 'SSH-2.0-other\r\n'],
    ['is no SSH server', '220 smtp.example.com ESMTP\r\n'],
  ])('the server there %s: the next one is taken', async (_title, words) => {
    await closingServer(words)
    await open()
    expect(await kept()).toBe('127.0.0.3')
    await noteWorked(`nas.${named.zone}`, before, options.names)
    const { sshHost, sshPort, hostKey } = path
    const server = { host: sshHost as string, port: sshPort as number }
    expect(await readHostKey({ ...server, connectTimeout: 10_000, names: options.names })).toBe(
      hostKey,
    )
  })

  it('the login is not accepted: it is the right machine, and no other one is asked', async () => {
    await noteWorked(`nas.${named.zone}`, sshd.host, options.names)
    const other = await closingServer('SSH-2.0-other\r\n')
    await expect(open({ ...path, sshUser: 'stranger' })).rejects.toMatchObject({
      failure: 'unusable',
      message: expect.stringContaining('no SSH key was accepted'),
    })
    await sleep(200) // time enough for what must not happen
    expect(other.asked).toBe(0)
  })

  it('somebody else has all addresses: refused, with the hint, and none is kept', async () => {
    await sshd.restart({ newHostKey: true })
    await stranger.restart()
    await expect(open()).rejects.toMatchObject({
      failure: 'unusable',
      message: 'path "site-a": the host key has changed',
      hint: expect.stringContaining(hostKeyFingerprint(stranger.hostKey)),
    })
    expect(await kept()).toBe(before)
  })

  it('somebody else has one, and nobody the other: refused, with the hint', async () => {
    await sshd.stop()
    await stranger.restart()
    await expect(open()).rejects.toMatchObject({
      failure: 'unusable',
      message: 'path "site-a": the host key has changed',
    })
  })
})
