import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { archiveSegment, type Fleet, startFleet, waitFor } from '../support/fleet.ts'

let fleet: Fleet
beforeAll(async () => {
  fleet = await startFleet()
  await fleet.addPath('berlin')
})

it('drains a backlog with a worker, in which most pushes find a marker', async () => {
  const primary = await fleet.startPrimary('backlog', ['berlin'])
  await archiveSegment(primary)
  primary.configure({ archive_command: 'false' })
  await primary.query('select pg_reload_conf()')
  for (let n = 0; n < 60; n++) await primary.query('create table if not exists t (n int); insert into t values (1); select pg_switch_wal()')
  primary.configure(fleet.archiveSettings)
  const start = Date.now()
  await primary.query('select pg_reload_conf()')
  const last = await archiveSegment(primary)
  console.log('took', Date.now() - start)
  const state = join(fleet.environment.PGARCH_STATE_DIR ?? '', primary.dataDirectory, '@pgarch')
  console.log(readdirSync(state), readFileSync(join(state, 'worker.log'), 'utf8').slice(0, 2000))
  console.log(primary.log().slice(-1500))
  const rows = await fleet.rows('select count(*)::int, count(distinct wal_name)::int as d from pgarch.arch_remote_log')
  console.log(rows, last)
  await primary.stop('fast')
  await waitFor('the worker ends', () => {
    try { process.kill(Number(readFileSync(join(state, 'worker.pid'), 'utf8')), 0); return false } catch { return true }
  })
})
