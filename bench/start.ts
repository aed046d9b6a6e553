import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeMachine, median, withSpread } from './measure.ts'

const rounds = 15

/** What a call costs before it does anything: each command as a whole process, in turn. */
export async function run(): Promise<void> {
  const pgarch = join(import.meta.dirname, '..', 'bin', 'pgarch')
  const folder = mkdtempSync(join(tmpdir(), 'pgarch-bench-'))
  const commands: Readonly<Record<string, readonly string[]>> = {
    'node, an empty script': [process.execPath, '-e', '0'],
    'sh, an empty script': ['/bin/sh', '-c', ':'],
    'pgarch --version': [pgarch, '--version'],
    'pgarch push, refused': [pgarch, 'push', 'pg_wal/x', '000000010000000000000001'],
    'pgarch fetch, refused': [pgarch, 'fetch', '000000010000000000000001', 'pg_wal/RECOVERYXLOG'],
  }
  const times = new Map<string, number[]>(Object.keys(commands).map((name) => [name, []]))
  try {
    // The first round fills caches and is not counted.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, command] of Object.entries(commands)) {
        const time = measure(command, folder)
        if (round > 0) times.get(name)?.push(time)
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const base = times.get('node, an empty script') ?? []
  console.log(
    `${describeMachine()}; ${rounds} rounds, ms: median (least..most), ratio to Node.js alone`,
  )
  for (const [name, values] of times) {
    const ratios = values.map((value, round) => value / (base[round] ?? Number.NaN))
    console.log(`${name.padEnd(24)} ${withSpread(values).padEnd(24)} ${median(ratios).toFixed(2)}`)
  }
}

/** Milliseconds. */
function measure([program = '', ...words]: readonly string[], folder: string): number {
  const start = performance.now()
  spawnSync(program, words, { cwd: folder, env: { ...process.env, HOME: folder }, stdio: 'ignore' })
  return performance.now() - start
}
