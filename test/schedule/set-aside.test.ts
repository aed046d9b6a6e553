import { beforeAll, expect, test } from 'vitest'
import { deliver } from '../../src/schedule/agent.ts'
import { beginSetAside, finishSetAside } from '../../src/schedule/set-aside.ts'
import { inTransaction } from '../../src/schedule/transaction.ts'
import { waitFor } from '../support/fleet.ts'
import { startServer } from '../support/postgres.ts'
import {
  addCluster,
  addPath,
  claimOf,
  createSchedule,
  eventOf,
  segment,
  sha256,
  type TestSchedule,
} from './fixture.ts'

let schedule: TestSchedule
beforeAll(async () => {
  schedule = await createSchedule(await startServer(), 'aside')
})

test('a host that records meanwhile waits, or is waited for, and neither fails', async () => {
  const app = await addCluster(schedule, 'app')
  const [berlin, madrid] = [
    await addPath(schedule, 'berlin', [app]),
    await addPath(schedule, 'madrid', [app]),
  ]
  const walName = segment(1)
  const tell = (content: string, path: number, status: 'stored' | 'conflict') =>
    schedule.asAgent((agent) =>
      deliver(agent, app.member, [
        { claim: claimOf(walName, content), events: [eventOf(walName, path, { status })] },
      ]),
    )
  // Not in the order in which a host that stores both in one batch takes them.
  await tell('claimed', madrid, 'stored')
  await tell('claimed', berlin, 'stored')
  await tell('other', berlin, 'conflict')
  const given = { fingerprint: app.fingerprint, walName, sha256: sha256('claimed') }
  const id = await schedule.asAdmin((admin) =>
    beginSetAside(admin, {
      ...given,
      ...{ walSize: 16_777_216, memberId: null, author: 'me', reason: 'a clone' },
    }),
  )

  await schedule.asAdmin(async (host) => {
    await host.query('begin')
    const take = (table: string, of: string) =>
      host.query(`select from pgarch.${table} where db_id = $1 and ${of} for update`, [
        app.fingerprint,
      ])
    await take('arch_copy', `path_id = ${berlin}`)
    const settled = schedule.asAdmin((admin) =>
      inTransaction(admin, () =>
        finishSetAside(admin, id, { copies: [], pathIds: [berlin, madrid], successor: null }),
      ),
    )
    settled.catch(() => {}) // until it is awaited
    const waiting = `select from pg_stat_activity
                     where datname = 'aside' and wait_event_type = 'Lock'`
    await waitFor('it waits', async () => (await schedule.rows(waiting)).length > 0)
    await take('arch_copy', `path_id = ${madrid}`)
    await take('arch_path_use', 'true')
    await take('arch_conflict', 'true')
    await host.query('commit')
    await settled
  })

  const left = await schedule.rows(
    `select (select count(*)::int from pgarch.arch_file) as files,
            (select count(*)::int from pgarch.arch_copy) as copies,
            (select sum(files)::int from pgarch.arch_path_use) as used,
            (select count(*)::int from pgarch.arch_conflict where resolved_time is null) as conflicts`,
  )
  expect(left).toEqual([{ files: 0, copies: 0, used: 0, conflicts: 0 }])
})
