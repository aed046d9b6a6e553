import { execFileSync } from 'node:child_process'
import { asUnprivileged } from '../test/support/unprivileged.ts'

export interface Calls {
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** Shell, run after each call, and not counted. */
  readonly between?: string
}

/** Milliseconds a call, each in a shell of its own, as PostgreSQL's; `n` counts them from 10. */
export function timeCalls(count: number, command: string, on: Calls): number {
  const { directory, environment, between = ':' } = on
  // bash, which can look at a clock without another process.
  const loop = `used=0
for ((n = 10; n < ${count + 10}; n++)); do
  start=\${EPOCHREALTIME/./}
  n=$n /bin/sh -c '${command}' || exit
  used=$((used + \${EPOCHREALTIME/./} - start))
  ${between}
done
echo $used`
  const microseconds = execFileSync('bash', ['-c', loop], {
    cwd: directory,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...environment },
    encoding: 'utf8',
    ...asUnprivileged(),
  })
  return Number(microseconds) / 1000 / count
}
