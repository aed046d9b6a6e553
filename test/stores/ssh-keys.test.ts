import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { hostKeyFingerprint, readHostKey } from '../../src/stores/host-key.ts'
import { openStore, withStore } from '../../src/stores/open.ts'
import type { PathDescription, StoreOptions } from '../../src/stores/store.ts'
import { makeFolder, temporaryFolder } from '../support/folder.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { claim, describePath, options as usual } from './bed.ts'

const folder = temporaryFolder('ssh-keys')
let sshd: Sshd
let path: PathDescription

beforeAll(async () => {
  sshd = await startSshd({ folder: folder.path })
  const { host, port, user, hostKey, identity } = sshd
  const bed = {
    path: { kind: 'sftp', sshHost: host, sshPort: port, sshUser: user, hostKey } as const,
    options: { ...usual, identity },
  }
  path = describePath(bed, makeFolder(folder.path, 'root'))
  await claim(bed, path)
})
afterAll(async () => {
  await sshd.stop()
  await folder.remove()
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const failure = (of: string, message: RegExp, hint: unknown = expect.anything()) =>
  expect.objectContaining({ failure: of, message: expect.stringMatching(message), hint })
const open = (options: Partial<StoreOptions>, to = path) =>
  withStore(to, { ...usual, ...options }, (store) => store.probe())
const makeKey = (name: string, passphrase = ''): string => {
  const file = join(folder.path, name)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', file])
  return file
}

describe('host key', () => {
  test('is read without logging in, and its fingerprint is what OpenSSH prints', async () => {
    const { host, port, hostKey } = sshd
    expect(await readHostKey({ host, port, connectTimeout: 5000 })).toBe(hostKey)
    const file = join(folder.path, 'host_key.pub')
    writeFileSync(file, `${hostKey}\n`)
    const printed = execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' })
    expect(printed.split(' ')[1]).toBe(hostKeyFingerprint(hostKey))
  })

  test('of a server that hangs, or is not there, cannot be read', async () => {
    const { host, port } = sshd
    const read = () => readHostKey({ host, port, connectTimeout: 500 })
    const unreachable = expect.objectContaining({ failure: 'unreachable' })
    sshd.freeze()
    await expect(read()).rejects.toEqual(unreachable)
    sshd.thaw()
    await sshd.stop()
    await expect(read()).rejects.toEqual(unreachable)
    await sshd.restart()
  })

  test('has changed: refused, with both fingerprints', async () => {
    const pinned = hostKeyFingerprint(sshd.hostKey)
    await sshd.restart({ newHostKey: true })
    const hint = expect.stringMatching(
      new RegExp(`${literally(pinned)}.*${literally(hostKeyFingerprint(sshd.hostKey))}`),
    )
    await expect(open({ identity: sshd.identity })).rejects.toEqual(
      failure('unusable', /site-a.*the host key has changed/, hint),
    )
    path = { ...path, hostKey: sshd.hostKey }
    await open({ identity: sshd.identity })
  })

  test('of the pinned type is not there any more: refused', async () => {
    const other = { ...path, hostKey: 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA' }
    await expect(open({ identity: sshd.identity }, other)).rejects.toEqual(
      failure('unusable', /no host key of the pinned type/, expect.stringContaining('ssh-rsa')),
    )
  })
})

describe('identity', () => {
  test('that the server does not know: refused', async () => {
    await expect(open({ identity: makeKey('stranger') })).rejects.toEqual(
      failure('unusable', /site-a.*no SSH key was accepted/, expect.stringContaining(sshd.user)),
    )
  })

  test('that is missing, needs a passphrase, or is no key', async () => {
    const none = expect.toBeOneOf([undefined, expect.anything()])
    const missing = join(folder.path, 'nothing')
    await expect(open({ identity: missing })).rejects.toEqual(
      failure('unusable', /site-a.*could not read SSH private key ".*nothing"/, none),
    )
    await expect(open({ identity: makeKey('locked', 'secret') })).rejects.toEqual(
      failure('unusable', /needs a passphrase/),
    )
    await expect(open({ identity: `${sshd.identity}.pub` })).rejects.toEqual(
      failure('unusable', /is not an SSH private key/, none),
    )
  })

  test("not given: the agent's keys", async () => {
    const socket = join(folder.path, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(agent.stdout, 'data')
      vi.stubEnv('SSH_AUTH_SOCK', socket)
      vi.stubEnv('HOME', join(folder.path, 'no-home'))
      await expect(open({})).rejects.toEqual(failure('unusable', /no SSH key was accepted/))
      execFileSync('ssh-add', ['-q', sshd.identity])
      await open({})
    } finally {
      agent.kill()
      await once(agent, 'exit')
    }
  })

  test('not given, and no agent: the usual keys in ~/.ssh', async () => {
    const home = join(folder.path, 'home')
    vi.stubEnv('SSH_AUTH_SOCK', undefined)
    vi.stubEnv('HOME', home)
    await expect(open({})).rejects.toEqual(
      failure('unusable', /there is no SSH key to log in with/),
    )
    mkdirSync(join(home, '.ssh'), { recursive: true })
    copyFileSync(makeKey('another'), join(home, '.ssh/id_ecdsa'))
    copyFileSync(sshd.identity, join(home, '.ssh/id_rsa'))
    await open({})
  })
})

test('a path without its host key does not open', async () => {
  const other = { ...path, hostKey: null }
  await expect(openStore(other, usual)).rejects.toMatchObject({ failure: 'usage' })
})

function literally(text: string): string {
  return text.replace(/[+/.]/g, '\\$&')
}
