import { execFileSync, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { findProgram } from '../support/parts.ts'

/** Root may make network namespaces, where the kernel has them. */
export const canMakeNetworks =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['--net', 'true']).status === 0 &&
  findProgram('ip') !== undefined

const namespaces = new Set<string>()
// They end with the process that runs the test file, whatever became of its hooks.
process.on('exit', () => {
  for (const namespace of namespaces) spawnSync('ip', ['netns', 'delete', namespace])
})

/** A host of its own, and a link from it to this one. */
export interface Link {
  /** This machine's address on it. */
  readonly address: string
  /** Words, run as root, before a command that shall run on that host. */
  readonly within: readonly string[]
  /** Packets vanish from now on, both ways. */
  cut(): void
  mend(): void
  remove(): void
}

/** Slow enough that a transfer can be cut in its middle. Addresses are of RFC 2544, section C.2.2. */
export function makeLink(): Link {
  const id = randomInt(2 ** 24).toString(16)
  const [namespace, here, there] = [`pgarch-${id}`, `pga${id}a`, `pga${id}b`]
  const network = `198.${18 + randomInt(2)}.${randomInt(256)}`
  const last = 4 * randomInt(64)
  const address = `${network}.${last + 1}`
  // Not "ip netns exec", which also makes a mount namespace: a disk that another test unmounts
  // meanwhile would stay mounted there, and a power cut not end.
  const within = ['nsenter', `--net=/run/netns/${namespace}`, '--']
  const ip = (...words: string[]) => execFileSync('ip', words)
  const inside = (...words: string[]) => execFileSync('nsenter', [...within.slice(1), ...words])
  const link = {
    address,
    within,
    cut: () => void ip('link', 'set', here, 'down'),
    mend: () => void ip('link', 'set', here, 'up'),
    remove() {
      ip('netns', 'delete', namespace)
      namespaces.delete(namespace)
    },
  }
  ip('netns', 'add', namespace)
  namespaces.add(namespace)
  try {
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', namespace)
    ip('address', 'add', `${address}/30`, 'dev', here)
    inside('ip', 'address', 'add', `${network}.${last + 2}/30`, 'dev', there)
    inside('ip', 'link', 'set', there, 'up')
    inside(
      ...'tc qdisc add dev'.split(' '),
      there,
      ...'root tbf rate 8mbit burst 64kb latency 1s'.split(' '),
    )
    link.mend()
  } catch (error) {
    link.remove()
    throw error
  }
  return link
}
