import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../support/fleet.ts'
import { temporaryFolder } from '../support/folder.ts'
import { checkout, installation } from '../support/installation.ts'

/** Runs it as a newcomer does, but with the pgarch that was built for this test run. */
function startQuickstart() {
  const { path: folder, remove } = temporaryFolder('qs')
  const child = spawn(
    process.execPath,
    [join(checkout, 'examples/quickstart/quickstart.ts'), installation().root],
    { env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => (said.stdout += chunk))
  child.stderr.on('data', (chunk) => (said.stderr += chunk))
  const closed = once(child, 'close')
  onTestFinished(async () => {
    child.kill()
    await closed
    await remove()
  })
  return { folder, child, said, closed }
}

it('the quickstart archives, fails over and recovers, and leaves nothing but its logs', async () => {
  const { folder, child, said, closed } = startQuickstart()
  await closed
  expect(said.stderr).toBe('')
  expect(child.exitCode).toBe(0)

  const [, archived, onBerlin, onMadrid] =
    /archived +(\d+) WAL segments.*\n +(\d+) went to path berlin, (\d+) to path madrid/.exec(
      said.stdout,
    ) ?? []
  expect(Number(onBerlin)).toBeGreaterThanOrEqual(20)
  expect(Number(onMadrid)).toBeGreaterThanOrEqual(10)
  expect(Number(onBerlin) + Number(onMadrid)).toBe(Number(archived))
  expect(said.stdout).toMatch(/[1-9]\d* tries on berlin failed without harm/)
  expect(said.stdout).toMatch(/5 tables with \d+ rows: equal, the last transaction included/)

  const [commands] = /\/.*\/commands\.sh/.exec(said.stdout) ?? []
  expect(readFileSync(commands ?? '', 'utf8')).toContain('pgarch register --name shop')
  expect(processesIn(folder)).toEqual([])
  expect(filesBelow(folder)).toEqual(kept)
}, 300_000)

it('interrupted under load, it stops its servers and cleans up', async () => {
  const { folder, child, said, closed } = startQuickstart()
  await waitFor('it archives', () => said.stdout.includes('archived on berlin'))
  expect(processesIn(folder)).not.toEqual([])
  child.kill('SIGTERM')
  await closed
  expect(said.stderr).toBe('')
  expect(child.exitCode).toBe(128 + 15)
  expect(processesIn(folder)).toEqual([])
  expect(filesBelow(folder)).toEqual(kept)
})

const kept = ['commands.sh', 'logs']

/** What lies in the one folder that the quickstart makes below its temporary directory. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .flatMap((name) => readdirSync(join(folder, name)))
    .sort()
}

/** The command lines of all processes that have to do with a folder. */
function processesIn(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const about = ['cmdline', 'environ'].map((file) =>
        readFileSync(`/proc/${pid}/${file}`, 'utf8'),
      )
      const mentions = [...about, readlinkSync(`/proc/${pid}/cwd`)].some((one) =>
        one.includes(folder),
      )
      return mentions ? [`${pid} ${about[0]?.replaceAll('\0', ' ')}`] : []
    } catch {
      return [] // it has ended, or is somebody else's
    }
  })
}
