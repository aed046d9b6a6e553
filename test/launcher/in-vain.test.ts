import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stateOfProcess } from '../support/worker.ts'
import { own } from './host.ts'
import { shells } from './launch.ts'
import { askedNode, setScene } from './scene.ts'

const scene = setScene()

describe.for(shells)('under %s', (shell) => {
  test.for([
    ['is stopped', stopWorker],
    ['is dead', endWorker],
    ['is a zombie', async () => writePid(await makeZombie())],
    ['has a pid that is another process by now', async () => writePid(process.pid)],
    ['left an empty pid', async () => writePid('')],
    ['left a pid that is no number', async () => writePid('../..')],
  ] as const)('a worker that %s is not waited for', async ([, arrange]) => {
    await arrange()
    expect(await scene.start(shell).ended).toMatchObject(askedNode)
    expect(existsSync(scene.host.bell)).toBe(false)
  })

  test.for([
    ['is a file', () => writeFileSync(scene.host.bell, 'something')],
    ['is somebody else’s', () => makeBell('chmod', '0')],
    ['can only be read', () => makeBell('chmod', '400')],
    ['has no folder', () => rmSync(join(scene.host.state, 'bell'), { recursive: true })],
    ['cannot be made', () => chmodSync(join(scene.host.state, 'bell'), 0o500)],
  ] as const)('where the bell %s, Node.js is asked', async ([, arrange]) => {
    await scene.startWorker()
    arrange()
    expect(await scene.start(shell).ended).toMatchObject({
      ...askedNode,
      stderr: expect.anything(),
    })
  })
})

async function stopWorker(): Promise<void> {
  const worker = await scene.startWorker()
  worker.kill('SIGSTOP')
  await expect.poll(() => stateOfProcess(Number(worker.pid))).toBe('T')
}

async function endWorker(): Promise<void> {
  const worker = await scene.startWorker()
  worker.kill('SIGKILL')
  await once(worker, 'exit')
}

function writePid(pid: number | string): void {
  writeFileSync(join(scene.host.state, 'worker.pid'), `${pid}\n`)
}

function makeBell(program: string, ...words: string[]): void {
  execFileSync('mkfifo', [scene.host.bell])
  own(scene.host.bell)
  execFileSync(program, [...words, scene.host.bell])
}

/** The pid of a process that has ended, and whose parent does not want to know. */
async function makeZombie(): Promise<string> {
  // Whose shell becomes a sleep while its child waits for that, as a shell might look after it.
  const script = 'until read -r name </proc/$$/comm && [ "$name" = sleep ]; do :; done & echo $!'
  const parent = spawn('sh', ['-c', `${script}; exec sleep 20`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  scene.started(parent)
  const [line] = await once(parent.stdout.setEncoding('utf8'), 'data')
  const pid = line.trim()
  await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z/)
  return pid
}
