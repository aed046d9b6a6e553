import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Sshd } from '../test/support/sshd.ts'

/** Milliseconds; makes a network of 50 ms there and back. */
export const oneWay = 25

/** Resolves to its port. It ends with this process. */
export async function startProxy(sshd: Sshd, milliseconds: number): Promise<number> {
  const program = join(import.meta.dirname, 'delaying-proxy.ts')
  const words = [program, sshd.host, String(sshd.port), String(milliseconds)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const [port] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  return Number(port)
}
