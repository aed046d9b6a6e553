import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { postmasterPid } from '../launcher/host.ts'
import { type Fleet, startFleet } from '../support/fleet.ts'
import { findProgram } from '../support/parts.ts'
import { type Sshd, startSshd } from '../support/sshd.ts'
import { asUnprivileged } from '../support/unprivileged.ts'
import { filesBelow } from './archive.ts'
import { limit } from './extent.ts'
import { type Host, makeArchivingHost, segment, targetOf, type Wal, writeWal } from './host.ts'
import { forgetWritten } from './state.ts'
import { killEverywhere } from './sweep.ts'

const hasTools = findProgram('strace') !== undefined

let fleet: Fleet
let sshd: Sshd

beforeAll(async () => {
  fleet = await startFleet()
  sshd = await startSshd({ folder: fleet.folder })
  await fleet.addPath('berlin', { sshd })
})
afterAll(() => sshd.stop())

describe.skipIf(!hasTools)('the worker that fetches ahead is killed', () => {
  test('at every system call: what lies ready is whole, and recovery gets it', {
    timeout: limit,
  }, async () => {
    const host = await makeArchivingHost(fleet, 'berlin')
    const [first, next] = [emptySegment(host, 1), emptySegment(host, 2)]
    for (const wal of [first, next]) {
      expect(await host.push(writeWal(host, wal))).toMatchObject({ status: 0 })
    }
    const postmaster = spawn('sleep', ['3600'], { stdio: 'ignore', ...asUnprivileged() })
    onTestFinished(() => void postmaster.kill())
    const pid = String(postmaster.pid)
    writeFileSync(join(host.dataDirectory, 'postmaster.pid'), postmasterPid({ pid }))
    writeFileSync(join(host.dataDirectory, 'recovery.signal'), '')
    const target = join(host.dataDirectory, targetOf(next.name))
    const root = join(fleet.folder, 'berlin')
    const spool = join(host.stateDirectory, 'prefetch')
    const size = String(first.content.length)
    const ahead = ['worker', host.dataDirectory, '--prefetch-after', first.name]
    ahead.push('--wal-segment-size', size)
    // One segment, and then nothing more to do.
    const environment = { PGARCH_FETCH_PREFETCH: '1', PGARCH_WORKER_IDLE: '1ms' }
    let lay = 0

    await killEverywhere({
      host,
      title: 'fetching ahead',
      folders: [host.walDirectory, host.stateDirectory],
      few: 10,
      looksAbout: true,
      async prepare() {
        forgetWritten(host, root)
        return next
      },
      run: (_, options) => host.run(ahead, { ...options, environment }),
      async check(_, round) {
        for (const file of filesBelow(spool).filter((one) => basename(one) === next.name)) {
          if (file.includes('/incoming/')) continue
          expect(readFileSync(file).equals(next.content)).toBe(true)
          lay++
        }
        forgetWritten(host, root)
        expect(await host.fetch(next, { seed: round.seed('b') })).toMatchObject({ status: 0 })
        expect(readFileSync(target).equals(next.content)).toBe(true)
        const again = await host.run(ahead, { environment, seed: round.seed('c') })
        expect(again).toMatchObject({ status: 0, stderr: '' })
        expect(filesBelow(spool)).toEqual([])
        expect(existsSync(join(host.stateDirectory, 'prefetch.pid'))).toBe(false)
      },
    })
    expect(lay).toBeGreaterThan(0)
  })
})

/**
 * Without WAL behind its header: stored, it comes over the network at once, and so is written by the same
 * calls each time, in two parts.
 */
function emptySegment(host: Host, number: number): Wal {
  const { name, content } = segment(host, 1, number)
  return { name, content: content.fill(0, 40) }
}
