import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { stateOfProcess } from '../support/worker.ts'
import { lifeName, makeProgram, own } from './host.ts'
import { segment, shells } from './launch.ts'
import { askedNode, setScene } from './scene.ts'

const target = 'pg_wal/RECOVERYXLOG'
const scene = setScene(['fetch', segment, target])
const prefetched = (life = lifeName()) => join(scene.host.state, 'prefetch', life, segment)
const placed = () => join(scene.host.dataDirectory, target)

const taken = { status: 0, stdout: '', stderr: '' }

/** What a prefetching worker tells, and lays ready. */
function lay(suffix: '' | '.coming', life?: string): void {
  const file = `${prefetched(life)}${suffix}`
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, suffix === '' ? 'segment' : '')
  own(scene.host.state)
}

describe.for(shells)('under %s', (shell) => {
  // Node.js says that it has placed it.
  beforeEach(() => {
    scene.nodeDoes(`echo node; echo fetched >${target}; exit 40`)
  })

  test('one that lies ready is taken', async () => {
    lay('')
    expect(await scene.start(shell).ended).toMatchObject(taken)
    expect(readFileSync(placed(), 'utf8')).toBe('segment')
    expect(existsSync(prefetched())).toBe(false)
    rmSync(placed())
    expect(await scene.start(shell).ended).toMatchObject(askedNode)
    expect(readFileSync(placed(), 'utf8')).toBe('fetched\n')
  })

  describe('Node.js is asked', () => {
    const asks = async (surroundings = {}) => {
      expect(await scene.start(shell, surroundings).ended).toMatchObject(askedNode)
      expect(readFileSync(placed(), 'utf8')).toBe('fetched\n')
    }

    test.for([{ pid: '4712' }, { start: '1700000060' }, { key: '5432002' }, { id: '655361' }])(
      'in another life: %o',
      async (life) => {
        lay('')
        scene.host.restart(life)
        await asks()
        expect(existsSync(prefetched())).toBe(true)
      },
    )

    test('when a directory lies in its place', async () => {
      lay('')
      rmSync(prefetched())
      mkdirSync(prefetched())
      await asks()
    })

    test.runIf(process.getuid?.() === 0)('in a state directory of another owner', async () => {
      lay('')
      execFileSync('chown', ['0:0', scene.host.state])
      await asks()
    })

    test.for(['exit 1', 'exit 0', 'echo half >pg_wal/RECOVERYXLOG; exit 1'])(
      'when mv does `%s`',
      async (script) => {
        lay('')
        const path = makeFolder(scene.folder, 'path')
        makeProgram(path, 'mv', script)
        await asks({ path })
      },
    )

    test.for([
      ['a file elsewhere', [segment, `pg_wal/${segment}`]],
      ['%p under another path', [segment, `./${target}`]],
      ['an option', ['--without', 'berlin', segment, target]],
      ['a name with a slash', [`../${lifeName()}/${segment}`, target]],
      ['a pattern', ['0000000100000000*', target]],
    ] as const)('for %s', async ([, words]) => {
      lay('')
      const { status, stdout } = await scene.start(shell, { words: ['fetch', ...words] }).ended
      expect({ status, stdout }).toEqual({ status: expect.any(Number), stdout: 'node\n' })
      expect(existsSync(prefetched())).toBe(true)
    })
  })

  describe('one that is on its way', () => {
    test('is waited for, and taken when the worker rings', async () => {
      await scene.startWorker('prefetch.pid')
      lay('.coming')
      const fetch = scene.start(shell)
      const sleep = await scene.untilItWaits()
      lay('')
      scene.ring(`${prefetched()}.bell`)
      expect(await fetch.ended).toMatchObject(taken)
      expect(readFileSync(placed(), 'utf8')).toBe('segment')
      expect(existsSync(`/proc/${sleep}`)).toBe(false)
    })

    test('and comes to nothing: Node.js is asked', async () => {
      await scene.startWorker('prefetch.pid')
      lay('.coming')
      const fetch = scene.start(shell)
      await scene.untilItWaits()
      rmSync(`${prefetched()}.coming`)
      scene.ring(`${prefetched()}.bell`)
      expect(await fetch.ended).toMatchObject(askedNode)
    })

    test('and does not come: after a second Node.js is asked', async () => {
      await scene.startWorker('prefetch.pid')
      lay('.coming')
      const path = makeFolder(scene.folder, 'path')
      makeProgram(path, 'sleep', `echo "$1" >'${scene.folder}/slept'; exec /bin/sleep 0.1`)
      own(scene.folder)
      expect(await scene.start(shell, { path }).ended).toMatchObject(askedNode)
      expect(readFileSync(join(scene.folder, 'slept'), 'utf8')).toBe('1\n')
    })

    test('and came before the bell was open: it is taken at once', async () => {
      await scene.startWorker('prefetch.pid')
      lay('.coming')
      const path = makeFolder(scene.folder, 'path')
      makeProgram(path, 'mkfifo', `/usr/bin/mkfifo "$@"; echo segment >'${prefetched()}'`)
      // Who waits until the time is over finds nothing.
      makeProgram(path, 'sleep', `/bin/sleep 3; rm -f '${prefetched()}'`)
      expect(await scene.start(shell, { path }).ended).toMatchObject(taken)
    })

    test('and the worker is killed meanwhile: after the time is over Node.js is asked', async () => {
      const worker = await scene.startWorker('prefetch.pid')
      lay('.coming')
      const path = makeFolder(scene.folder, 'path')
      // As long as the worker lives, and so never over before it is killed.
      makeProgram(path, 'sleep', `while kill -0 ${worker.pid}; do /bin/sleep 0.1; done`)
      const fetch = scene.start(shell, { path })
      await expect.poll(() => scene.holders().length, { timeout: 20_000 }).toBeGreaterThan(1)
      worker.kill('SIGKILL')
      expect(await fetch.ended).toMatchObject(askedNode)
    })

    test('and the worker ends, with all that is its own: Node.js is asked, in silence', async () => {
      await scene.startWorker('prefetch.pid')
      lay('.coming')
      const path = makeFolder(scene.folder, 'path')
      makeProgram(path, 'mkfifo', `rm -r '${dirname(prefetched())}'`)
      expect(await scene.start(shell, { path }).ended).toMatchObject(askedNode)
    })

    describe('is not waited for', () => {
      const asksAtOnce = async () => {
        lay('.coming')
        const path = makeFolder(scene.folder, 'path')
        makeProgram(path, 'sleep', `touch '${scene.folder}/slept'; exec /bin/sleep 20`)
        own(scene.folder)
        expect(await scene.start(shell, { path }).ended).toMatchObject(askedNode)
        expect(existsSync(join(scene.folder, 'slept'))).toBe(false)
      }

      test('when there is none but the other kind of worker', async () => {
        await scene.startWorker()
        await asksAtOnce()
      })

      test('when the worker was killed', async () => {
        const worker = await scene.startWorker('prefetch.pid')
        const ended = once(worker, 'exit')
        worker.kill('SIGKILL')
        await ended
        await asksAtOnce()
      })

      test('when the worker was stopped by a signal', async () => {
        const worker = await scene.startWorker('prefetch.pid')
        worker.kill('SIGSTOP')
        await expect.poll(() => stateOfProcess(worker.pid ?? 0)).toBe('T')
        await asksAtOnce()
      })
    })
  })

  const strace = findProgram('strace')

  test.skipIf(strace === undefined)('one mv is all that it takes', async () => {
    lay('')
    const trace = join(scene.folder, 'trace')
    const before = [strace ?? '', '-f', '-qq', '-e', 'trace=process', '-o', trace]
    expect(await scene.start(shell, { path: '/usr/bin', before }).ended).toMatchObject(taken)
    const calls = readFileSync(trace, 'utf8')
    expect(calls.match(/ execve\(/g)?.length).toBe(2) // the shell, and mv
    expect(calls.match(/ (v?fork|clone3?)\(/g)?.length).toBe(1)
  })
})
