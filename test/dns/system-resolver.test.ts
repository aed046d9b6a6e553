import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { canMakeNetworks } from '../faults/network.ts'
import { checkout } from '../support/installation.ts'

/** resolv.conf(5): without one it is the name server on this machine. */
function nameServers(): string[] {
  const text = readFileSync('/etc/resolv.conf', 'utf8')
  const servers = [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)$/gm)].map(
    ([, one = '']) => one,
  )
  return servers.length > 0 ? servers : ['127.0.0.1']
}

test.skipIf(!canMakeNetworks)('a name that nobody answers for holds up no other', () => {
  const servers = nameServers()
  const ask = pathToFileURL(join(checkout, 'src', 'dns', 'ask.ts')).href
  // The system's name servers hear all questions in a network of their own, and answer none.
  const script = `
    import { createSocket } from 'node:dgram'
    import { once } from 'node:events'
    import { askAddresses } from '${ask}'
    for (const server of ${JSON.stringify(servers)}) {
      await once(createSocket('udp4').bind(53, server).unref(), 'listening')
    }
    const answered = []
    const ask = (name) =>
      askAddresses(name, {}).then(() => answered.push(name), () => answered.push('not ' + name))
    await Promise.all([ask('slow.example.'), ask('localhost')])
    console.log(answered.join(', '))`
  const network = [
    'ip link set lo up',
    ...servers
      .filter((server) => !server.startsWith('127.'))
      .map((server) => `ip address add ${server}/32 dev lo`),
    'exec "$@"',
  ]
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      ...['--net', 'sh', '-ec', network.join('\n'), 'sh'],
      ...[process.execPath, '--input-type=module', '--eval', script],
    ],
    { encoding: 'utf8', env: { ...process.env, RES_OPTIONS: 'timeout:1 attempts:1' } },
  )
  expect({ stdout, stderr }).toEqual({ stdout: 'localhost, not slow.example.\n', stderr: '' })
})
