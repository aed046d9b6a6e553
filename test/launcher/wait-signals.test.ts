import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { own } from './host.ts'
import { segment, shells } from './launch.ts'
import { setScene } from './scene.ts'

const scene = setScene(['fetch', segment, 'pg_wal/RECOVERYXLOG', '--wait'])

/** A Node.js that waits until it is told that the answer is wanted now, and notes who it is. */
function waits(before = ''): void {
  own(scene.folder)
  scene.nodeDoes(`case " $* " in *' --fast '*) echo fast; exit 44 ;; esac
echo $$ >'${scene.folder}/node'; ${before}
exec /bin/sleep 600`)
}

const note = () => join(scene.folder, 'node')
const isThere = (pid: number) => existsSync(`/proc/${pid}`)

afterEach(() => {
  const pid = existsSync(note()) ? Number(readFileSync(note(), 'utf8')) : Number.NaN
  if (isThere(pid)) process.kill(pid, 'SIGKILL')
})

async function untilNodeWaits(): Promise<number> {
  const pid = () => (existsSync(note()) ? Number(readFileSync(note(), 'utf8')) : 0)
  await expect.poll(pid, { timeout: 20_000, interval: 20 }).toBeGreaterThan(0)
  return pid()
}

describe.for(shells)('under %s', { timeout: 60_000 }, (shell) => {
  test.for(['SIGUSR1', 'SIGINT'] as const)(
    '%s to the launcher: Node.js is ended, and the answer is that of another with --fast',
    async (signal) => {
      waits()
      const fetch = scene.start(shell)
      const node = await untilNodeWaits()
      process.kill(fetch.pid, signal)
      expect(await fetch.ended).toMatchObject({ status: 1, stdout: 'fast\n', stderr: '' })
      expect(isThere(node)).toBe(false)
    },
  )

  test('SIGUSR1 as soon as Node.js runs, and again, is heard', async () => {
    waits('kill -USR1 $PPID; kill -USR1 $PPID')
    const fetch = scene.start(shell)
    expect(await fetch.ended).toMatchObject({ status: 1, stdout: 'fast\n', stderr: '' })
  })

  test('SIGINT that Node.js ends of means the same', async () => {
    waits('kill -INT $PPID; exit 130')
    const fetch = scene.start(shell, { script: 'trap "" INT; exec "$@"' })
    expect(await fetch.ended).toMatchObject({ status: 1, stdout: 'fast\n', stderr: '' })
  })

  test('SIGTERM to the launcher alone ends both', async () => {
    waits()
    const fetch = scene.start(shell)
    const node = await untilNodeWaits()
    process.kill(fetch.pid, 'SIGTERM')
    expect(await fetch.ended).toMatchObject({ status: null, signal: 'SIGTERM', stderr: '' })
    await expect.poll(() => isThere(node), { timeout: 20_000 }).toBe(false)
  })

  test('SIGQUIT to the launcher alone ends both', async () => {
    waits()
    const fetch = scene.start(shell)
    const node = await untilNodeWaits()
    process.kill(fetch.pid, 'SIGQUIT')
    await fetch.ended
    await expect.poll(() => isThere(node), { timeout: 20_000 }).toBe(false)
  })

  test('without a signal the answer is Node.js’ own', async () => {
    scene.nodeDoes('echo "$*"; exit 44')
    const { status, stdout } = await scene.start(shell).ended
    expect({ status, stdout }).toEqual({
      status: 1,
      stdout: expect.stringMatching(/^--disable-sigusr1 \S.*pgarch\.cjs fetch .* --wait\n$/),
    })
  })
})
