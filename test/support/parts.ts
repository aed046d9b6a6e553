import { spawnSync } from 'node:child_process'

/**
 * Where a program is on this machine, if it is; for `skipIf(!findProgram(..))`. In CI a missing one
 * throws, so that nothing is skipped there unnoticed.
 */
export function findProgram(name: string): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' })
  if (found.status === 0) return found.stdout.trim()
  if (process.env.CI !== undefined) throw new Error(`"${name}" is missing on this machine`)
  return undefined
}
