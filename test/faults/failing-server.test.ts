import { renameSync } from 'node:fs'
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest'
import { type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { filesBelow } from './archive.ts'
import { limit } from './extent.ts'
import { canMakeNetworks, makeLink } from './network.ts'
import { endure, impatient, layGround, patience } from './takeover.ts'
import { startTcpProxy } from './tcp-proxy.ts'

const hasTools = findProgram('zstd') !== undefined
const title = 'the server of the first path fails; the second takes over, until it is back'

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet({ environment: impatient })
  sshd = await startSshd({ folder: fleet.folder })
})
afterAll(() => sshd.stop())

describe.skipIf(!hasTools)(title, { timeout: limit }, () => {
  const add = async (name: string, root: string) => await fleet.addPath(name, { root, sshd })

  test('it hangs', async () => {
    await endure(await layGround(fleet, add), {
      what: 'a server that hangs',
      begin: () => sshd.freeze(),
      end: () => sshd.thaw(),
      says: RegExp(`no connection within ${patience.connect} s`),
    })
  })

  test('it is down', async () => {
    await endure(await layGround(fleet, add), {
      what: 'a server that is down',
      begin: () => sshd.stop(),
      end: () => sshd.restart(),
      says: /ECONNREFUSED/,
    })
  })

  test('its host key has changed, until a person pins the new one', async () => {
    const ground = await layGround(fleet, add)
    await endure(ground, {
      what: 'a changed host key',
      begin: () => sshd.restart({ newHostKey: true }),
      end: () => fleet.admin('path', 'set', ground.name, '--host-key', sshd.hostKey),
      says: /the host key has changed/,
    })
  })

  test('it refuses our key', async () => {
    const accepted = `${sshd.identity}.pub`
    await endure(await layGround(fleet, add), {
      what: 'a refused key',
      begin: () => renameSync(accepted, `${accepted}.aside`),
      end: () => renameSync(`${accepted}.aside`, accepted),
      says: /no SSH key was accepted/,
    })
  })

  const troubles = [
    ['resets the connection in mid-transfer', 'reset', /connection lost/],
    [
      'drips',
      'drip',
      RegExp(`no progress for ${patience.stall} s|took more than ${patience.transfer} s`),
    ],
  ] as const
  test.each(troubles)('it %s', async (what, trouble, says) => {
    const proxy = await startTcpProxy(sshd)
    onTestFinished(() => proxy.close())
    const through = { ...sshd, port: proxy.port }
    const ground = await layGround(fleet, (name, root) =>
      fleet.addPath(name, { root, sshd: through }),
    )
    await endure(ground, {
      what: `a server that ${what}`,
      begin() {
        proxy.trouble = trouble
      },
      end() {
        proxy.trouble = 'none'
      },
      says,
    })
  })

  test.skipIf(!canMakeNetworks)('its link is cut in mid-transfer', async () => {
    const link = makeLink()
    onTestFinished(link.remove)
    const far = await startSshd({ folder: fleet.folder, address: link.address })
    onTestFinished(far.stop)
    // From the host behind the link, the scheduling database is reached by its socket.
    const { socketDirectory, port } = fleet.schedule
    const url = `postgresql://pgarch_agent@/pgarch?host=${socketDirectory}&port=${port}`
    const ground = await layGround(
      fleet,
      (name, root) => fleet.addPath(name, { root, sshd: far }),
      // Over so slow a link a transfer takes its time.
      {
        within: link.within,
        environment: { PGARCH_SCHEDULE_URL: url, PGARCH_TRANSFER_TIMEOUT: '30s' },
      },
    )
    await endure(ground, {
      what: 'a link that is cut',
      begin() {},
      async meanwhile() {
        const before = filesBelow(ground.first).length
        await waitFor('a transfer begins', () => filesBelow(ground.first).length > before)
        link.cut()
      },
      end: () => link.mend(),
      says: RegExp(`no progress for ${patience.stall} s`),
    })
  })
})
