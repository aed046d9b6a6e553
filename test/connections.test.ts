import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config.ts'
import { keepConnections } from '../src/connections.ts'
import { claim, describePath, options } from './stores/bed.ts'
import { waitFor } from './support/fleet.ts'
import { makeFolder, temporaryFolder } from './support/folder.ts'
import { type Named, startNamed } from './support/named.ts'
import { findProgram } from './support/parts.ts'
import { childrenOf } from './support/processes.ts'
import { type Sshd, startSshd } from './support/sshd.ts'

const folder = temporaryFolder('connections')
/** Longer than any test. */
const forEver = 2 ** 31 - 1

let named: Named
let old: Sshd
let next: Sshd

describe.skipIf(!findProgram('named') || !findProgram('nsupdate'))('kept connections', () => {
  beforeAll(async () => {
    named = await startNamed(folder.path)
    old = await startSshd({ folder: folder.path, address: '127.0.0.2' })
    next = await startSshd({ folder: folder.path, address: '127.0.0.3', like: old })
    await named.update('add nas 1 A 127.0.0.2')
  })
  afterAll(async () => {
    await Promise.all([old?.stop(), next?.stop(), named?.stop()])
    await folder.remove()
  })

  const sessions = (of: Sshd) => childrenOf(of.pid ?? 0).length

  it('go to the new address of a name; what is on its way ends at the old one', async () => {
    const { port: sshPort, user: sshUser, hostKey, identity } = old
    const names = { servers: [named.server] }
    const bed = {
      path: { kind: 'sftp', sshHost: `nas.${named.zone}`, sshPort, sshUser, hostKey },
      options: { ...options, identity, names },
    } as const
    const path = describePath(bed, makeFolder(folder.path, 'root'))
    await claim(bed, path)
    const environment = { PGARCH_DNS_SERVERS: named.server, PGARCH_SSH_IDENTITY: identity }
    const connections = keepConnections(await loadConfig({}, environment), 2, { idle: forEver })
    const look = () => connections.withPath(path, (store) => store.readText('nothing'))

    await look()
    expect([sessions(old) > 0, sessions(next)]).toEqual([true, 0])
    const finish = Promise.withResolvers<void>()
    const onItsWay = connections.withPath(path, async (store) => {
      await finish.promise
      return await store.readText('nothing')
    })
    await look() // on a connection of its own
    await named.update('delete nas A', 'add nas 1 A 127.0.0.3')
    await waitFor('the next use is at the new address', async () => {
      await look()
      return sessions(next) > 0
    })
    expect(sessions(old)).toBeGreaterThan(0)
    finish.resolve()
    expect(await onItsWay).toBe('absent')
    await waitFor('nobody is at the old address', async () => {
      await look()
      return sessions(old) === 0
    })
    await connections.close()
  })
})
