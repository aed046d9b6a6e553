import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'
import type { Server } from '../support/postgres.ts'
import { readySegments, untilNothingLies } from '../support/prefetch.ts'
import { startRestored, takeBackup } from '../support/restored.ts'
import { stateOf, workerLog } from '../support/worker.ts'

let fleet: Fleet
let primary: Server
let backup: string
/** Behind the backup. */
const archived: string[] = []

beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
  primary = await fleet.startPrimary('app', ['berlin'])
  backup = await takeBackup(fleet, primary, 'backup')
  for (let segment = 0; segment < 9; segment++) archived.push(await archiveSegment(primary))
})

/** As a person does who tries restore_command. */
async function fetchByHand(dataDirectory: string, ahead: string, asTester = false) {
  const finished = await fleet.pgarch(['fetch', archived[0] ?? '', 'pg_wal/RECOVERYXLOG'], {
    cwd: dataDirectory,
    environment: { PGARCH_FETCH_PREFETCH: ahead },
    asTester,
  })
  rmSync(join(dataDirectory, 'pg_wal', 'RECOVERYXLOG'))
  expect(finished).toMatchObject({ status: 0, stderr: '' })
}

it.runIf(process.geteuid?.() === 0)('a fetch by root leaves nothing to the server', async () => {
  const isStarted = () => existsSync(stateOf(fleet, primary, 'worker.log'))
  await fetchByHand(primary.dataDirectory, '8', true)
  expect(isStarted()).toBe(false)
  await fetchByHand(primary.dataDirectory, '8')
  expect(isStarted()).toBe(true)
})

it('the scheduling database hangs: it is not waited for with every segment', async () => {
  const place = join(fleet.folder, 'standby')
  execFileSync('cp', ['-a', backup, place])
  await fleet.admin('register', '--member', '--offline', '--pgdata', place)
  await fetchByHand(place, '0') // and so keeps the list of paths
  onTestFinished(() => fleet.schedule.kill('SIGCONT'))
  fleet.schedule.kill('SIGSTOP')
  const standby = await startRestored(fleet, place, 'standby', {
    environment: { PGARCH_FETCH_PREFETCH: '8', PGARCH_SCHEDULE_TIMEOUT: '1s' },
    settings: { recovery_min_apply_delay: '1h' },
  })
  const last = archived.at(-1) ?? ''
  await waitFor('the last lies ready', () => readySegments(fleet, standby).includes(last))
  const warnings = workerLog(fleet, standby).match(/pgarch: WARNING.*/g) ?? []
  expect(warnings).toContainEqual(expect.stringContaining('failed lately, and is not asked'))
  expect(new Set(warnings).size).toBe(warnings.length)
  await standby.stop('immediate')
  await untilNothingLies(fleet, standby)
})
