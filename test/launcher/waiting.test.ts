import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { findProgram } from '../support/parts.ts'
import { lifeName, makeProgram } from './host.ts'
import { segment, shells } from './launch.ts'
import { askedNode, descriptorsOf, setScene } from './scene.ts'

const scene = setScene()

describe.for(shells)('under %s', (shell) => {
  test('the worker rings for a marker, and nothing is left behind', async () => {
    await scene.startWorker()
    const push = scene.start(shell)
    const sleep = await scene.untilItWaits()
    scene.host.tell('pushed')
    scene.ring()
    expect(await push.ended).toMatchObject({ status: 0, stdout: '', stderr: '' })
    expect(existsSync(`/proc/${sleep}`)).toBe(false)
    expect(scene.holders()).toEqual([])
  })

  test('the worker rings for a failure: push says why', async () => {
    await scene.startWorker()
    const push = scene.start(shell)
    await scene.untilItWaits()
    scene.host.tell('failed', 'pgarch: ERROR:  no * \\n space\npgarch: HINT:   Make some.\n')
    scene.ring()
    expect(await push.ended).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'pgarch: ERROR:  no * \\n space\npgarch: HINT:   Make some.\n',
    })
  })

  test('a failure that is already told is not waited for; a half-written one is nothing', async () => {
    await scene.startWorker()
    scene.host.tell('failed', 'pgarch: ERROR:  disk full\n')
    expect(await scene.start(shell).ended).toMatchObject({
      status: 1,
      stderr: 'pgarch: ERROR:  disk full\n',
    })
    scene.host.tell('failed', '')
    expect(await scene.start(shell).ended).toMatchObject(askedNode)
  })

  test('a marker that came before the bell was open is seen', async () => {
    await scene.startWorker()
    const marker = join(scene.host.state, 'pushed', lifeName())
    const path = makeFolder(scene.folder, 'path')
    const make = `/usr/bin/mkfifo "$@"; mkdir -p '${marker}'; : >'${marker}/${segment}'`
    makeProgram(path, 'mkfifo', make)
    makeProgram(path, 'sleep', 'exec /bin/sleep 20')
    expect(await scene.start(shell, { path }).ended).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
  })

  test('somebody rings in vain: Node.js is asked', async () => {
    await scene.startWorker()
    const push = scene.start(shell)
    await scene.untilItWaits()
    scene.ring()
    expect(await push.ended).toMatchObject(askedNode)
  })

  test('the worker is killed meanwhile: after the time is over Node.js is asked', async () => {
    const worker = await scene.startWorker()
    const path = makeFolder(scene.folder, 'path')
    // As long as the worker lives, and so never over before it is killed.
    makeProgram(path, 'sleep', `while kill -0 ${worker.pid}; do /bin/sleep 0.1; done`)
    const push = scene.start(shell, { path })
    await expect.poll(() => scene.holders().length, { timeout: 20_000 }).toBeGreaterThan(1)
    worker.kill('SIGKILL')
    expect(await push.ended).toMatchObject(askedNode)
  })

  test.for([
    ['umask 0777', 'umask 0777; exec "$@"'],
    ['closed standard streams', 'exec "$@" <&- >&- 2>&-'],
    ['closed standard input', 'exec "$@" <&-'],
    ['ignored signals', 'trap "" INT QUIT PIPE ALRM; exec "$@"'],
    ['descriptors of the server’s', 'exec 3<PG_VERSION 4<PG_VERSION 9<PG_VERSION; exec "$@"'],
  ])('%s do no harm', async ([, script = '']) => {
    writeFileSync(join(scene.host.dataDirectory, 'PG_VERSION'), '15\n')
    await scene.startWorker()
    const push = scene.start(shell, { script })
    await scene.untilItWaits()
    scene.host.tell('pushed')
    scene.ring()
    expect(await push.ended).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('what outlives a killed launcher holds nothing of the server’s open', async () => {
    await scene.startWorker()
    const push = scene.start(shell)
    const sleep = await scene.untilItWaits()
    const servers = new Set(descriptorsOf(push.pid).filter((file) => file.startsWith('socket:')))
    expect(servers.size).toBe(2)
    expect(descriptorsOf(sleep).filter((file) => servers.has(file))).toEqual([])
    process.kill(push.pid, 'SIGKILL')
    // Its sockets end with it, long before the sleep.
    expect(await push.ended).toMatchObject({ signal: 'SIGKILL' })
    expect(existsSync(`/proc/${sleep}`)).toBe(true)
  })

  test.for([
    ['SIGTERM', [null, 'SIGTERM']],
    ['SIGQUIT', [131, null]],
  ] as const)('%s to the group, as from the postmaster, ends it', async ([signal, end]) => {
    await scene.startWorker()
    const push = scene.start(shell)
    await scene.untilItWaits()
    process.kill(-push.pid, signal)
    const { status, signal: by, stdout } = await push.ended
    expect({ end: [status, by], stdout }).toEqual({ end, stdout: '' })
  })

  const strace = findProgram('strace')

  test.skipIf(strace === undefined)('it waits without polling, and not for ever', async () => {
    await scene.startWorker()
    const trace = join(scene.folder, 'trace')
    const before = [strace ?? '', '-f', '-qq', '-o', trace]
    const push = scene.start(shell, { path: '/usr/bin', before })
    expect(await push.ended).toMatchObject(askedNode)
    const calls = readFileSync(trace, 'utf8')
    // One sleep in all, by the program; the file is looked for before and after, and when it is open.
    expect(calls.match(/nanosleep\(/g)?.length).toBe(1)
    expect(calls.match(/ (p?select6?|p?poll|epoll_wait)\([^)]*tv_n?sec/g)).toBeNull()
    expect(calls.match(/"[^"]*\/pushed\/[^"]*"/g)?.length).toBeLessThanOrEqual(4)
  })
})
